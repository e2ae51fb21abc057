-- For wrk: sends the requests of a file one after another, and says as JSON what came of it.
-- The file: for each request its length in bytes on a line, then its bytes.

local requests, at, again, last = {}, 0, false, nil

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  again = arguments[2] == "again"
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  last = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end

function request()
  at = at + 1
  if at > #requests then
    if not again then
      wrk.thread:stop()
      return last
    end
    at = 1
  end
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"answered": %d, "refused": %d, "broken": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
