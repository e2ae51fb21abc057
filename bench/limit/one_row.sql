-- The least that a provision can cost: one row, in a table with nothing but a primary key, in a transaction of its own.
INSERT INTO one_row (uuid, name, plan, region, options, state, created_at, seed, config, grant_sealed, log_input_url)
VALUES (gen_random_uuid(), 'acme-keys-12345678', 'basic', 'amazon-web-services::us-east-1', '{"foo": "bar", "baz": "true"}',
        'provisioned', now(), decode(repeat('5a', 93), 'hex'), decode(repeat('5b', 160), 'hex'),
        decode(repeat('5c', 65), 'hex'), decode(repeat('5d', 105), 'hex'));
