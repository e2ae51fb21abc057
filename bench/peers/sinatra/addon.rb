# frozen_string_literal: true

# A small add-on in Sinatra with pg, as one writes it in a day from Heroku's documentation: basic auth, one row for a
# resource, a key that is made from it, single sign-on with a page behind it. No background work.

require 'digest'
require 'json'
require 'pg'
require 'rack/utils'
require 'securerandom'
require 'sinatra/base'

# The add-on.
class Addon < Sinatra::Base
  PLANS = %w[basic premium].freeze
  UUID = /\A\h{8}(-\h{4}){3}-\h{12}\z/
  TABLE = <<~SQL
    CREATE TABLE IF NOT EXISTS resources (
      uuid uuid PRIMARY KEY, name text, plan text NOT NULL, region text, options jsonb, key text NOT NULL,
      grant_code text, log_input_url text, log_drain_token text,
      created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz
    )
  SQL
  INSERT = <<~SQL
    INSERT INTO resources (uuid, name, plan, region, options, key, grant_code, log_input_url, log_drain_token)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (uuid) DO UPDATE SET name = resources.name RETURNING key, deleted_at
  SQL
  STATEMENTS = {
    'insert' => INSERT,
    'change' => 'UPDATE resources SET plan = $1 WHERE uuid = $2 AND deleted_at IS NULL',
    'remove' => 'UPDATE resources SET deleted_at = now() WHERE uuid = $1 AND deleted_at IS NULL',
    'find' => 'SELECT name, plan FROM resources WHERE uuid = $1 AND deleted_at IS NULL'
  }.freeze

  set :logging, false
  set :show_exceptions, false
  set :raise_errors, false
  disable :protection, :sessions

  # Each of the server's threads has a connection of its own, with its statements prepared.
  def database
    Thread.current[:database] ||= PG.connect(ENV.fetch('DATABASE_URL')).tap do |connection|
      connection.exec('SET client_min_messages = warning')
      connection.exec(TABLE)
      STATEMENTS.each { |name, sql| connection.prepare(name, sql) }
    end
  end

  def run_prepared(name, *values) = database.exec_prepared(name, values)

  def same?(one, other) = Rack::Utils.secure_compare(Digest::SHA256.hexdigest(one), Digest::SHA256.hexdigest(other))

  def only_heroku
    expected = "Basic #{["bench-keys:#{ENV.fetch('ADDON_PASSWORD')}"].pack('m0')}"
    halt 401, { message: 'Unauthorized' }.to_json unless same?(request.env['HTTP_AUTHORIZATION'].to_s, expected)
  end

  def body_of_request
    body = JSON.parse(request.body.read)
    halt 400, { message: 'The body must be an object.' }.to_json unless body.is_a?(Hash)
    body
  rescue JSON::ParserError
    halt 400, { message: 'The body must be JSON.' }.to_json
  end

  def known_plan(plan)
    halt 422, { message: 'There is no such plan.' }.to_json unless PLANS.include?(plan)
    plan
  end

  def known_uuid
    halt 404, { message: 'Not found' }.to_json unless UUID.match?(params['uuid'].to_s)
    params['uuid']
  end

  def signature(uuid) = Digest::SHA256.hexdigest("#{ENV.fetch('ADDON_SSO_SALT')}:session:#{uuid}")

  get('/health/live') { { status: 'ok' }.to_json }

  before('/heroku/*') do
    only_heroku
    content_type :json
  end

  post '/heroku/resources' do
    asked = body_of_request
    halt 422, { message: 'uuid is missing' }.to_json unless UUID.match?(asked['uuid'].to_s)
    values = [asked['name'], known_plan(asked['plan']), asked['region'], (asked['options'] || {}).to_json, SecureRandom.hex(24)]
    more = [asked.dig('oauth_grant', 'code'), asked['log_input_url'], asked['log_drain_token']]
    row = run_prepared('insert', asked['uuid'], *values, *more).first
    halt 410, { message: 'Gone' }.to_json if row['deleted_at']
    { id: asked['uuid'], config: { BENCH_KEYS_KEY: row['key'] }, message: 'Your key is ready.' }.to_json
  end

  put '/heroku/resources/:uuid' do
    plan = known_plan(body_of_request['plan'])
    halt 410, { message: 'Gone' }.to_json if run_prepared('change', plan, known_uuid).cmd_tuples.zero?
    { id: params['uuid'], message: 'The plan has changed.' }.to_json
  end

  delete '/heroku/resources/:uuid' do
    status run_prepared('remove', known_uuid).cmd_tuples.zero? ? 410 : 204
  end

  post '/sso/login' do
    uuid, token, timestamp = params.values_at('resource_id', 'resource_token', 'timestamp').map(&:to_s)
    digest = Digest::SHA1.hexdigest("#{uuid}:#{ENV.fetch('ADDON_SSO_SALT')}:#{timestamp}")
    halt 403 unless same?(digest, token) && (Time.now.to_i - timestamp.to_i).abs < 300 && UUID.match?(uuid)
    halt 403 if run_prepared('find', uuid).ntuples.zero?
    response.set_cookie('session', value: "#{uuid}.#{signature(uuid)}", httponly: true, same_site: :lax, path: '/')
    redirect "/dashboard/#{uuid}", 303
  end

  get '/dashboard/:uuid' do
    halt 403 unless same?(request.cookies['session'].to_s, "#{known_uuid}.#{signature(params['uuid'])}")
    row = run_prepared('find', params['uuid']).first or halt 404
    "<!doctype html><title>Keys</title><h1>#{Rack::Utils.escape_html("#{row['name']} on #{row['plan']}")}</h1>"
  end
end
