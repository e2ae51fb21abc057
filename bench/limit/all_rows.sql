-- Every row that a provision leaves behind, in the add-on's own tables with all their indexes, by one statement.
WITH resource AS (
  INSERT INTO resources (uuid, name, plan, service_plan, region, options, state, created_at, provisioned_at, seed_sealed,
    config_sealed, config_version, pushed_version, config_changed_at, config_due_at, generation, failures, grant_sealed,
    grant_received_at, log_input_url_sealed, log_drain_token_sealed, log_drain_digest)
  VALUES (gen_random_uuid(), 'acme-keys-12345678', 'basic', 'basic', 'amazon-web-services::us-east-1',
    '{"foo": "bar", "baz": "true"}', 'provisioned', now(), now(), decode(repeat('5a', 93), 'hex'),
    decode(repeat('5b', 160), 'hex'), 1, 1, now(), now() + interval '15 minutes', 1, 0, decode(repeat('5d', 65), 'hex'),
    now(), decode(repeat('5e', 105), 'hex'), decode(repeat('5f', 67), 'hex'),
    sha256(gen_random_uuid()::text::bytea))
  RETURNING uuid
), history AS (
  INSERT INTO events (resource_uuid, at, kind, actor, text, is_for_customer, plan_after)
  SELECT uuid, now(), kind, actor, text, true, plan FROM resource, (VALUES
    ('requested', 'Heroku', 'Install requested with the basic plan', NULL),
    ('provisioned', 'the program', 'Ready on the basic plan', 'basic')) AS event (kind, actor, text, plan)
), key AS (
  INSERT INTO api_keys (uuid, generation, digest, plan, requests_per_minute)
  SELECT uuid, 1, sha256(uuid::text::bytea), 'basic', 60 FROM resource
)
SELECT procrastinate_defer_jobs_v1(ARRAY[
  ROW('resources', 'exchange_grant', 0, uuid::text, NULL, jsonb_build_object('uuid', uuid), NULL)
]::procrastinate_job_to_defer_v1[]) FROM resource;
