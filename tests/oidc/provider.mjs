// An identity provider for tests/e2e/test_oidc.py: the npm package oidc-provider with its own pages for signing in
// and agreeing, and people whose groups stand below.
//
//   node provider.mjs PORT KEYS.json [thin]
//
// KEYS.json is a private JWK Set; a key is used for new tokens where it is the first of its kind. With "thin" the ID
// token says only who it is, and names and groups are to be had from userinfo.
//
//   node provider.mjs --make-keys PREFIX FILE [OLD_FILE]
//
// writes such a set with an RSA, a P-256 and an Ed25519 key, followed by those of OLD_FILE.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const REDIRECT = 'https://audit.example/api/sign-in/test/callback';
const PEOPLE = {
  alice: { name: 'Alice Example', email: 'alice@example.com', groups: ['everybody', 'auditors'] },
  bob: { name: 'Bob Example', email: 'bob@example.com', groups: ['everybody'] },
  carol: { name: 'Carol Customer', email: 'carol@example.com', customer_number: 'C-17' },
};

function makeKeys(prefix, file, old) {
  const key = (type, options, more) => ({
    ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', kid: `${prefix}-${type}`, ...more });
  const keys = [
    key('rsa', { modulusLength: 2048 }),
    key('ec', { namedCurve: 'P-256' }),
    key('ed25519', {}),
    ...(old ? JSON.parse(readFileSync(old)).keys : []),
  ];
  writeFileSync(file, JSON.stringify({ keys }));
}

async function serve(port, file, thin) {
  const { Provider } = await import('oidc-provider');
  const client = (id, algorithm, secret) => ({
    client_id: id, redirect_uris: [REDIRECT], response_types: ['code'], grant_types: ['authorization_code'],
    id_token_signed_response_alg: algorithm,
    ...(secret ? { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' }
      : { token_endpoint_auth_method: 'none' }) });
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      client('client-RS256', 'RS256', 'the secret: 100% & more'), client('client-PS256', 'PS256', 'another/secret+'),
      client('client-ES256', 'ES256', 'a-third-secret'), client('client-EdDSA', 'EdDSA', 'a-fourth-secret'),
      client('public', 'ES256'),
    ],
    jwks: JSON.parse(readFileSync(file)),
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name', 'groups', 'customer_number'], email: ['email'] },
    conformIdTokenClaims: thin,
    findAccount: (_, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) },
    cookies: { keys: ['only for a test'] },
    ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, AuthorizationCode: 60, IdToken: 600 },
  });
  provider.listen(port, '127.0.0.1', () => console.log('ready'));
}

const [first, second, third, fourth] = process.argv.slice(2);
if (first === '--make-keys') makeKeys(second, third, fourth);
else await serve(Number(first), second, third === 'thin');
