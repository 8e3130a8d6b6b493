-- Makes values.tsv: type OID, type and text of values of every built-in type, as PostgreSQL writes them under the settings
-- that a capture asks for. Texts are escaped as COPY does it (\t, \n, \\).
--   psql -X -q -A -t -v ON_ERROR_STOP=1 < values.sql > values.tsv
SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; SET extra_float_digits = 3;
SET client_encoding = 'UTF8'; SET lc_monetary = 'C'; SET xmloption = 'content'; SET bytea_output = 'hex';

CREATE TYPE mood AS ENUM ('calm', 'not so, "calm"');
CREATE TYPE pair AS (number int4, word text);
CREATE DOMAIN percent AS int4 CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE golden(place serial, type regtype, value text);

-- format() writes a value by its type's output function, as replication does; a cast to text is something else for some.
CREATE FUNCTION keep(of text, texts text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  given text;
BEGIN
  FOREACH given IN ARRAY texts LOOP
    EXECUTE format('INSERT INTO golden(type, value) SELECT pg_typeof(v), format(''%%s'', v) FROM (SELECT CAST(%L AS %s) AS v) AS one',
                   given, of);
  END LOOP;
END $$;

DO $$ BEGIN
  PERFORM keep('bool', ARRAY['true', 'false']);
  PERFORM keep('int2', ARRAY['-32768', '0', '32767']);
  PERFORM keep('int4', ARRAY['-2147483648', '2147483647']);
  PERFORM keep('int8', ARRAY['-9223372036854775808', '9223372036854775807', '9007199254740992', '9007199254740993',
                             '-9007199254740991', '1000000000000000000']);
  PERFORM keep('oid', ARRAY['0', '4294967295']);
  PERFORM keep('numeric', ARRAY['0', '1.5', '1.50', '-0', '0.000', '-0.1', '100', '0.000001', '0.0000001', '1e20', '1e21', '1e22',
                                '12345678901234567890', '0.10000000000000000001', '123456789012345.125', 'NaN', 'Infinity',
                                '-Infinity', '1e400', '1e-400']);
  PERFORM keep('float4', ARRAY['0', '-0', '0.1', '3.4028235e38', '1.17549435e-38', '1e-45', '16777216', '123456.7', '1e6',
                               'NaN', 'Infinity', '-Infinity']);
  PERFORM keep('float8', ARRAY['0', '-0', '0.1', '0.30000000000000004', '1.7976931348623157e308', '2.2250738585072014e-308',
                               '5e-324', '1e14', '1e15', '1e16', '1e21', '1e-5', '1e-7', '9007199254740993', 'NaN', 'Infinity',
                               '-Infinity']);
  PERFORM keep('money', ARRAY['-92233720368547758.08', '1234.5']);
  PERFORM keep('text', ARRAY['', 'null', 'true', '42', '{"a":1}', 'two' || chr(10) || 'lines', 'tab' || chr(9), 'quote " and \',
                             chr(1) || chr(127), 'Zürich, Łódź, 東京, 😀', chr(8232)]);
  PERFORM keep('varchar(5)', ARRAY['abc']);
  PERFORM keep('bpchar(5)', ARRAY['abc']);
  PERFORM keep('name', ARRAY['pg_class']);
  PERFORM keep('"char"', ARRAY['a', '']);
  PERFORM keep('bytea', ARRAY['', '\x00ff7b', 'abc']);
  PERFORM keep('date', ARRAY['4713-11-24 BC', '0001-12-31 BC', '0001-01-01', '2026-02-28', '5874897-12-31', 'infinity', '-infinity']);
  PERFORM keep('time', ARRAY['00:00', '24:00', '12:34:56.789012']);
  PERFORM keep('timetz', ARRAY['12:34:56.7+05:30', '23:59:59-12']);
  PERFORM keep('timestamp', ARRAY['4713-11-24 00:00:00 BC', '2026-11-25 14:40:11.213', '294276-12-31 23:59:59.999999', 'infinity',
                                  '-infinity']);
  PERFORM keep('timestamptz', ARRAY['2026-11-25 14:40:11.213+02', '0044-03-15 12:00:00+00 BC', '1890-01-01 00:00:00 Europe/Zurich',
                                    'infinity', '-infinity']);
  PERFORM keep('interval', ARRAY['0', '1 year 2 mons -3 days 04:05:06.789', '-1 day', '178000000 years', '1 microsecond']);
  PERFORM keep('uuid', ARRAY['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']);
  PERFORM keep('inet', ARRAY['192.0.2.1', '192.0.2.1/24', '2001:db8::1/64']);
  PERFORM keep('cidr', ARRAY['192.0.2.0/24', '2001:db8::/32']);
  PERFORM keep('macaddr', ARRAY['08-00-2b-01-02-03']);
  PERFORM keep('macaddr8', ARRAY['08-00-2b-01-02-03-04-05']);
  PERFORM keep('bit(3)', ARRAY['101']);
  PERFORM keep('varbit', ARRAY['', '0001']);
  PERFORM keep('xml', ARRAY['<a b="c">&amp;</a>']);
  PERFORM keep('tsvector', ARRAY['the ''quick fox'':3A jumped:2']);
  PERFORM keep('tsquery', ARRAY['fat & (rat | !cat:*)']);
  PERFORM keep('point', ARRAY['(1.5,-0)']);
  PERFORM keep('line', ARRAY['{1,-1,0}']);
  PERFORM keep('lseg', ARRAY['[(0,0),(1,1)]']);
  PERFORM keep('box', ARRAY['(0,0),(1,1)']);
  PERFORM keep('path', ARRAY['[(0,0),(1,1),(2,0)]']);
  PERFORM keep('polygon', ARRAY['((0,0),(1,1),(2,0))']);
  PERFORM keep('circle', ARRAY['<(0,0),1e300>']);
  PERFORM keep('pg_lsn', ARRAY['16/B374D848']);
  PERFORM keep('xid8', ARRAY['18446744073709551615']);
  PERFORM keep('regclass', ARRAY['pg_class']);
  PERFORM keep('int4[]', ARRAY['{}', '{1,NULL,-3}', '{{1,2},{3,4}}', '[0:1]={5,6}']);
  PERFORM keep('text[]', ARRAY['{NULL,"NULL","",a b,"q\"uote","back\\slash","{brace}","comma,"}']);
  PERFORM keep('numeric[]', ARRAY['{1.50,NaN}']);
  PERFORM keep('jsonb[]', ARRAY['{"{\"a\": 1}"}']);
  PERFORM keep('int4range', ARRAY['empty', '[1,5]', '(,3)', '(,)']);
  PERFORM keep('numrange', ARRAY['(1.50,2]']);
  PERFORM keep('tstzrange', ARRAY['[2026-01-01 00:00:00+01,infinity)']);
  PERFORM keep('int4multirange', ARRAY['{}', '{[1,3),[5,8]}']);
  PERFORM keep('mood', ARRAY['calm', 'not so, "calm"']);
  PERFORM keep('mood[]', ARRAY['{calm,"not so, \"calm\""}']);
  PERFORM keep('percent', ARRAY['42']);
  PERFORM keep('pair', ARRAY['(1,"a ""b"", c")', '(,)', '(,"")']);
  PERFORM keep('json', ARRAY['{"b": 1,  "a":1.50, "a" : 2 }', ' null ', '1e400', '"\u0000"', '"\ud83d\ude00"']);
  PERFORM keep('jsonb', ARRAY['{"b": 1,  "a":1.50, "a" : 2 }', 'null', 'true', '0', '1.50', '-0', '1e5', '"text"', '"null"', '[]', '{}',
                              '1e400', '{"far": [1, 12345678901234567890]}', '0.10000000000000000001', '0.0000001',
                              '"\u00e9 \ud83d\ude00 \u0001 \" \\ \/"', '{"\ud83d\ude00": 1, "\ufb33": 2, "\u00e9": 3, "aa": 4, "B": 5}',
                              '{"bytes": 70000, "sha256": "not a digest"}', '{"bytes": 70000}',
                              repeat('[', 32) || repeat(']', 32), repeat('[', 33) || repeat(']', 33),
                              repeat('{"a":', 32) || '1' || repeat('}', 32), repeat('{"a":', 33) || '1' || repeat('}', 33)]);
END $$;

COPY (SELECT (type::oid)::text, type::text, value FROM golden ORDER BY place) TO STDOUT;
