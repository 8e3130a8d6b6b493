-- Changes contacts in all the ways in which that happens: requests of people, jobs, a console; and takes some of it back.
-- psql -d contacts -f examples/contacts/change.sql; may be run again, then with other phone numbers: -v batch=2
\set ON_ERROR_STOP on
\if :{?batch} \else
\set batch 1
\endif
SELECT set_config('contacts.batch', :'batch', false) \gset

-- What each application sends once per transaction (docs/capture/attribution.md). Here it is a function of this session only.
CREATE FUNCTION pg_temp.says(actor json, request text, reason text DEFAULT NULL) RETURNS pg_lsn LANGUAGE sql AS $$
  SELECT pg_logical_emit_message(true, 'vestige', json_strip_nulls(json_build_object(
    'actor', actor, 'organization', '7', 'requestId', request, 'reason', reason))::text)
$$;
-- The phone number of the nth contact of this run.
CREATE FUNCTION pg_temp.phone(number int) RETURNS text LANGUAGE sql AS $$
  SELECT '91' || lpad(current_setting('contacts.batch'), 3, '0') || lpad(number::text, 7, '0')
$$;

\echo A member of staff adds a contact in the web interface, and corrects it.
BEGIN;
SELECT pg_temp.says('{"id": "42", "type": "STAFF", "name": "Meera"}', 'r-1') \gset
INSERT INTO contacts (name, phone, language_id, organization_id) VALUES ('Deepak Shah', pg_temp.phone(1), 1, 7)
  RETURNING id AS deepak \gset
INSERT INTO contacts_tags VALUES (:deepak, 'parent');
COMMIT;
BEGIN;
UPDATE contacts SET name = 'Deepak N. Shah', language_id = 2 WHERE id = :deepak;
-- After the change: the first message of a transaction holds for what came before it as well.
SELECT pg_temp.says('{"id": "42", "type": "STAFF", "name": "Meera"}', 'r-2', 'name as on the form') \gset
COMMIT;

\echo The contact opts in: a webhook of the provider.
BEGIN;
SELECT pg_temp.says('{"id": "gupshup", "type": "SERVICE"}', 'w-77') \gset
UPDATE contacts SET optin_time = '2026-11-20 09:15:00', bsp_status = 'session_and_hsm',
  fields = fields || '{"optin": {"method": "WhatsApp", "score": 4.50}}' WHERE id = :deepak;
COMMIT;

\echo A job imports 200 contacts in one statement, and changes all of them in another.
BEGIN;
SELECT pg_temp.says('{"id": "import-9", "type": "JOB"}', 'job-9') \gset
INSERT INTO contacts (name, phone, language_id, organization_id)
  SELECT 'Imported ' || number, pg_temp.phone(1000 + number), 1, 7 FROM generate_series(1, 200) number;
UPDATE contacts SET settings = settings || '{"campaign": "welcome"}', bsp_status = 'hsm', updated_at = '2026-11-21 00:00:00'
  WHERE phone BETWEEN pg_temp.phone(1001) AND pg_temp.phone(1200);
COMMIT;

\echo Two people in one transaction: each is named for what follows.
BEGIN;
SELECT pg_temp.says('{"id": "42", "type": "STAFF", "name": "Meera"}', 'r-3') \gset
UPDATE contacts SET settings = jsonb_set(settings, '{label}', '"vip"') WHERE id = :deepak;
SELECT pg_temp.says('{"id": "43", "type": "STAFF", "name": "Nikhil"}', 'r-4') \gset
UPDATE contacts SET fields = fields #- '{optin,score}' WHERE id = :deepak;
COMMIT;

\echo Somebody at a console, who says nothing: on record as done by nobody that is known.
UPDATE contacts SET status = 'blocked' WHERE phone = pg_temp.phone(1001);

\echo An upsert, which finds one row and makes the other.
INSERT INTO contacts (name, phone, language_id, organization_id)
  VALUES ('Deepak Shah', pg_temp.phone(1), 1, 7), ('Esha Jain', pg_temp.phone(2), 1, 7)
  ON CONFLICT (phone, organization_id) DO UPDATE SET name = excluded.name, last_message_at = '2026-11-22 12:00:00';

\echo A key changes.
BEGIN;
SELECT pg_temp.says('{"id": "merge-3", "type": "JOB"}', 'job-10') \gset
UPDATE contacts SET id = id + 1000000 WHERE phone = pg_temp.phone(1002);
UPDATE contacts_tags SET tag = 'guardian' WHERE contact_id = :deepak AND tag = 'parent';
COMMIT;

\echo A text that PostgreSQL keeps out of line; then a change beside it, which leaves it alone.
UPDATE contacts SET fields = fields || jsonb_build_object('notes',
  (SELECT string_agg(md5(line::text), ' ') FROM generate_series(1, 1000) line)) WHERE id = :deepak;
UPDATE contacts SET status = 'processing' WHERE id = :deepak;

\echo A text so long that the trail keeps only its digest.
UPDATE contacts SET fields = jsonb_build_object('notes',
  (SELECT string_agg(md5(line::text), ' ') FROM generate_series(1, 3000) line)) WHERE phone = pg_temp.phone(2);

\echo Nothing of this is on record: a rollback, and a savepoint that was rolled back.
BEGIN;
SELECT pg_temp.says('{"id": "42", "type": "STAFF", "name": "Meera"}', 'r-5') \gset
UPDATE contacts SET name = 'Never happened' WHERE id = :deepak;
DELETE FROM contacts WHERE phone > pg_temp.phone(1100);
ROLLBACK;
BEGIN;
UPDATE contacts SET optout_time = '2026-11-23 18:00:00' WHERE id = :deepak;
SAVEPOINT attempt;
SELECT pg_temp.says('{"id": "43", "type": "STAFF", "name": "Nikhil"}', 'r-6') \gset
UPDATE contacts SET name = 'Never happened either' WHERE id = :deepak;
ROLLBACK TO attempt;
SELECT pg_temp.says('{"id": "44", "type": "STAFF", "name": "Omar"}', 'r-7', 'asked by phone') \gset
UPDATE contacts SET optout_time = '2026-11-23 18:05:00', bsp_status = 'none' WHERE id = :deepak;
COMMIT;

\echo An update that changes nothing, and one that touches no row.
UPDATE contacts SET name = name WHERE phone = pg_temp.phone(2);
UPDATE contacts SET name = 'Nobody' WHERE phone = pg_temp.phone(999);

\echo Contacts are deleted: one by a person, many by a job.
BEGIN;
SELECT pg_temp.says('{"id": "44", "type": "STAFF", "name": "Omar"}', 'r-8', 'request of the contact') \gset
DELETE FROM contacts WHERE phone = pg_temp.phone(2);
COMMIT;
BEGIN;
SELECT pg_temp.says('{"id": "cleanup", "type": "JOB"}', 'job-11') \gset
DELETE FROM contacts WHERE phone BETWEEN pg_temp.phone(1150) AND pg_temp.phone(1200);
COMMIT;

\echo The tags are emptied at once.
BEGIN;
SELECT pg_temp.says('{"id": "45", "type": "ADMIN", "name": "Priya"}', 'r-9', 'new set of tags') \gset
TRUNCATE contacts_tags;
INSERT INTO contacts_tags VALUES (1, 'tutor');
COMMIT;
