// A small add-on in Express with pg, as one writes it in a day from Heroku's documentation: basic auth, one row for a
// resource, a key that is made from it, single sign-on with a page behind it. No background work.

import cluster from 'node:cluster'
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import express from 'express'
import pg from 'pg'

const { DATABASE_URL, ADDON_PASSWORD, ADDON_SSO_SALT, PORT } = process.env
const processes = Number(process.env.WEB_CONCURRENCY ?? 1)
const plans = new Set(['basic', 'premium'])
const uuids = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 })

const table = `
  CREATE TABLE IF NOT EXISTS resources (
    uuid uuid PRIMARY KEY, name text, plan text NOT NULL, region text, options jsonb, key text NOT NULL,
    grant_code text, log_input_url text, log_drain_token text,
    created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz
  )`

function same (one, other) {
  const [a, b] = [one, other].map(text => createHash('sha256').update(text).digest())
  return timingSafeEqual(a, b)
}

const expected = 'Basic ' + Buffer.from(`bench-keys:${ADDON_PASSWORD}`).toString('base64')

function onlyHeroku (request, response, next) {
  if (same(request.get('authorization') ?? '', expected)) return next()
  response.status(401).json({ message: 'Unauthorized' })
}

function known (request, response, next) {
  if (uuids.test(request.params.uuid)) return next()
  response.status(404).json({ message: 'Not found' })
}

const app = express()
app.disable('x-powered-by')
app.get('/health/live', (request, response) => response.json({ status: 'ok' }))

const resources = express.Router()
resources.use(onlyHeroku, express.json({ type: () => true }))

resources.post('/', async (request, response) => {
  const { uuid, name, plan, region, options, oauth_grant: grant, log_input_url: url, log_drain_token: token } = request.body ?? {}
  if (!uuids.test(uuid)) return response.status(422).json({ message: 'uuid is missing' })
  if (!plans.has(plan)) return response.status(422).json({ message: 'There is no such plan.' })
  const { rows } = await pool.query(
    `INSERT INTO resources (uuid, name, plan, region, options, key, grant_code, log_input_url, log_drain_token)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (uuid) DO UPDATE SET name = resources.name RETURNING key, deleted_at`,
    [uuid, name, plan, region, options ?? {}, randomBytes(24).toString('hex'), grant?.code, url, token]
  )
  if (rows[0].deleted_at) return response.status(410).json({ message: 'Gone' })
  response.json({ id: uuid, config: { BENCH_KEYS_KEY: rows[0].key }, message: 'Your key is ready.' })
})

resources.put('/:uuid', known, async (request, response) => {
  if (!plans.has(request.body?.plan)) return response.status(422).json({ message: 'There is no such plan.' })
  const { rowCount } = await pool.query(
    'UPDATE resources SET plan = $1 WHERE uuid = $2 AND deleted_at IS NULL', [request.body.plan, request.params.uuid])
  if (!rowCount) return response.status(410).json({ message: 'Gone' })
  response.json({ id: request.params.uuid, message: 'The plan has changed.' })
})

resources.delete('/:uuid', known, async (request, response) => {
  const { rowCount } = await pool.query(
    'UPDATE resources SET deleted_at = now() WHERE uuid = $1 AND deleted_at IS NULL', [request.params.uuid])
  response.status(rowCount ? 204 : 410).end()
})

app.use('/heroku/resources', resources)

app.post('/sso/login', express.urlencoded({ extended: false }), async (request, response) => {
  const { resource_id: uuid = '', resource_token: token = '', timestamp = '' } = request.body ?? {}
  const digest = createHash('sha1').update(`${uuid}:${ADDON_SSO_SALT}:${timestamp}`).digest('hex')
  const isFresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300
  if (!same(digest, token) || !isFresh) return response.status(403).send('Forbidden')
  const { rows } = await pool.query('SELECT 1 FROM resources WHERE uuid = $1 AND deleted_at IS NULL', [uuid])
  if (!rows.length) return response.status(403).send('Forbidden')
  const signature = createHash('sha256').update(`${ADDON_SSO_SALT}:session:${uuid}`).digest('hex')
  response.cookie('session', `${uuid}.${signature}`, { httpOnly: true, sameSite: 'lax' })
  response.redirect(303, `/dashboard/${uuid}`)
})

app.get('/dashboard/:uuid', known, async (request, response) => {
  const { uuid } = request.params
  const signature = createHash('sha256').update(`${ADDON_SSO_SALT}:session:${uuid}`).digest('hex')
  if (!(request.get('cookie') ?? '').includes(`session=${uuid}.${signature}`)) return response.status(403).send('Forbidden')
  const { rows } = await pool.query('SELECT name, plan FROM resources WHERE uuid = $1 AND deleted_at IS NULL', [uuid])
  if (!rows.length) return response.status(404).send('Not found')
  const text = `${rows[0].name} on ${rows[0].plan}`.replace(/[<>&"]/g, letter => `&#${letter.charCodeAt(0)};`)
  response.send(`<!doctype html><title>Keys</title><h1>${text}</h1>`)
})

if (cluster.isPrimary) {
  await pool.query(table)
  if (processes > 1) for (let number = 0; number < processes; number++) cluster.fork()
}
if (!cluster.isPrimary || processes === 1) app.listen(Number(PORT), '127.0.0.1')
