-- The contacts of a messaging service, with the columns of Glific's table, and their tags: something to capture changes of.
-- Tables that these columns point to (languages, organizations) are left out.
\set ON_ERROR_STOP on
BEGIN;

CREATE TYPE contact_status_enum AS ENUM ('blocked', 'failed', 'invalid', 'processing', 'valid');
CREATE TYPE contact_provider_status_enum AS ENUM ('none', 'session', 'session_and_hsm', 'hsm');

CREATE TABLE contacts (
  id bigserial PRIMARY KEY,
  name varchar(255),
  phone varchar(255) NOT NULL CHECK (phone ~ '^[0-9]{6,20}$'),
  status contact_status_enum NOT NULL DEFAULT 'valid',
  bsp_status contact_provider_status_enum NOT NULL DEFAULT 'none',
  language_id bigint NOT NULL,
  organization_id bigint NOT NULL,
  optin_time timestamp(0),
  optout_time timestamp(0),
  last_message_at timestamp(0),
  settings jsonb NOT NULL DEFAULT '{}',
  fields jsonb NOT NULL DEFAULT '{}',
  inserted_at timestamp(0) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
  updated_at timestamp(0) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
  UNIQUE (phone, organization_id)
);

CREATE TABLE contacts_tags (
  contact_id bigint NOT NULL,
  tag varchar(255) NOT NULL,
  PRIMARY KEY (contact_id, tag)
);

-- With this PostgreSQL writes the whole old row into its log. Without it nobody knows what a value was before.
ALTER TABLE contacts REPLICA IDENTITY FULL;
ALTER TABLE contacts_tags REPLICA IDENTITY FULL;

-- Who was there before anybody looked.
INSERT INTO contacts (name, phone, language_id, organization_id, optin_time) VALUES
  ('Asha Rao', '919876500001', 1, 7, '2026-01-12 08:00:00'),
  ('Bilal Khan', '919876500002', 2, 7, '2026-02-03 10:30:00'),
  ('Chitra Iyer', '919876500003', 1, 7, NULL);
INSERT INTO contacts_tags VALUES (1, 'teacher'), (2, 'parent');

COMMIT;
