-- For wrk: sends the requests of a file, each once or again and again, and says as JSON what came of it.
-- The file: for each request its length in bytes on a line, then its bytes.

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long seconds; long microseconds; } bench_time;
  int gettimeofday(bench_time *time, void *zone);
]]

local requests, at, again, clients, idle = {}, 0, false, 0, 0
-- Nobody answers half a request: whoever has sent its last one stays with this, and is idle.
local half = "GET /health/live HTTP/1.1\r\n"
local threads = {}

local function now()
  local time = ffi.new("bench_time")
  ffi.C.gettimeofday(time, nil)
  return tonumber(time.seconds) + tonumber(time.microseconds) / 1e6
end

function setup(thread)
  threads[#threads + 1] = thread
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  again = arguments[2] == "again"
  clients = tonumber(arguments[3])
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  at = -1
end

function request()
  at = at + 1
  if at == 0 then return requests[1] end -- asked for by wrk to look at, and not sent
  if at == 1 then begun_at = now() end
  if at > #requests then
    if not again then
      idle = idle + 1
      if idle == clients then
        ended_at = now()
        wrk.thread:stop()
      end
      return half
    end
    at = 1
  end
  return requests[at]
end

function done(summary, latency)
  local errors, seconds = summary.errors, summary.duration / 1e6
  local begun, ended = threads[1]:get("begun_at"), threads[1]:get("ended_at")
  if ended then seconds = ended - begun end
  io.write(string.format(
    '\nJSON {"answered": %d, "refused": %d, "broken": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    seconds, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
