// Compares schema.graphql with the schema that clients rely on, docs/accepted-schema.graphql.
//
//   node .ci/schema-changes.mjs              fails if a breaking change is not listed in docs/CHANGELOG.md
//   node .ci/schema-changes.mjs --accept     makes schema.graphql the accepted schema
//   node .ci/schema-changes.mjs --self-test  checks this script with small schemas
//
// Needs graphql and @graphql-inspector/core in the folder SAVANNAH_BROWSER_MODULES (default: where .ci/run installs them).

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SCHEMA = 'schema.graphql';
const ACCEPTED = 'docs/accepted-schema.graphql';
const CHANGELOG = 'docs/CHANGELOG.md';

const read = (file) => readFileSync(join(ROOT, file), 'utf8');

/** Loads an npm module from the folder that `.ci/run` installs them into. */
function load(name) {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
  const folder = process.env.SAVANNAH_BROWSER_MODULES ?? join(target, 'browser-modules');
  try {
    return createRequire(join(folder, 'from-here.cjs'))(name);
  } catch (error) {
    console.error(`cannot load ${name} from ${folder}: install the modules as .ci/run does (${error.code})`);
    process.exit(2);
  }
}

/** Returns the changes that can break clients, each with its path, message and level: `BREAKING` or `DANGEROUS`. */
async function findChanges(accepted, current) {
  const { buildSchema } = load('graphql');
  const { diff } = load('@graphql-inspector/core');
  const changes = await diff(buildSchema(accepted), buildSchema(current));
  return changes
    .map(({ path, type, message, criticality }) => ({ path: path ?? type, message, level: criticality.level }))
    .filter(({ level }) => level !== 'NON_BREAKING');
}

/** Returns what the section "Unreleased" of the change log has in backticks. */
function listedPaths(changelog) {
  const sections = changelog.split(/^## /m);
  const unreleased = sections.find((section) => /^\[?Unreleased\b/.test(section)) ?? '';
  return new Set([...unreleased.matchAll(/`([^`\n]+)`/g)].map(([, path]) => path));
}

/** Returns the breaking changes that the change log does not list. */
function unlisted(changes, changelog) {
  const listed = listedPaths(changelog);
  return changes.filter(({ level, path }) => level === 'BREAKING' && !listed.has(path));
}

async function check() {
  const changes = await findChanges(read(ACCEPTED), read(SCHEMA));
  for (const { level, path, message } of changes) {
    console.log(`${level.toLowerCase()}: ${path}: ${message}`);
  }
  const missing = unlisted(changes, read(CHANGELOG));
  if (missing.length === 0) {
    console.log(`${changes.length} breaking or dangerous changes; every breaking change is in ${CHANGELOG}`);
    return;
  }
  const lines = missing.map(({ path, message }) => `- \`${path}\`: ${message}. Use … instead.`);
  console.error(
    `\nThese changes of ${SCHEMA} break clients and are not in ${CHANGELOG}. Deprecate instead of removing, or add a\n` +
      `line for each to the section "Unreleased" that tells clients what to do:\n\n${lines.join('\n')}`,
  );
  process.exitCode = 1;
}

function accept() {
  copyFileSync(join(ROOT, SCHEMA), join(ROOT, ACCEPTED));
  console.log(`${ACCEPTED} is now the same as ${SCHEMA}`);
}

async function selfTest() {
  const accepted = 'type Query { cart: Cart } type Cart { id: ID! total: Int } enum Status { OPEN }';
  const cases = [
    // Description, current schema, levels and paths, unlisted paths if the change log lists `Cart.total`.
    ['a removed field that is listed', accepted.replace('total: Int', ''), ['BREAKING Cart.total'], []],
    ['another removed field', accepted.replace('id: ID!', ''), ['BREAKING Cart.id'], ['Cart.id']],
    ['a field that became nullable', accepted.replace('ID!', 'ID'), ['BREAKING Cart.id'], ['Cart.id']],
    ['an added nullable field', accepted.replace('total:', 'tax: Int total:'), [], []],
    ['an added enum value', accepted.replace('OPEN', 'OPEN ORDERED'), ['DANGEROUS Status.ORDERED'], []],
    [
      'an added required argument',
      accepted.replace('cart:', 'cart(id: ID!):'),
      ['BREAKING Query.cart.id'],
      ['Query.cart.id'],
    ],
    ['an added optional argument', accepted.replace('cart:', 'cart(id: ID):'), ['DANGEROUS Query.cart.id'], []],
    ['no change', accepted, [], []],
  ];
  const changelog = '# Changes\n\n## [Unreleased]\n\n- `Cart.total`: removed.\n\n## 1.0.0\n\n- `Cart.id`: removed.\n';
  for (const [description, current, expected, expectedUnlisted] of cases) {
    const changes = await findChanges(accepted, current);
    assert.deepEqual(
      changes.map(({ level, path }) => `${level} ${path}`),
      expected,
      description,
    );
    assert.deepEqual(
      unlisted(changes, changelog).map(({ path }) => path),
      expectedUnlisted,
      description,
    );
  }
  assert.equal(
    unlisted(await findChanges(accepted, cases[0][1]), '# Changes\n').length,
    1,
    'a change log without entries',
  );
  console.log(`${cases.length + 1} self-tests passed`);
}

const modes = { undefined: check, '--accept': accept, '--self-test': selfTest };
const mode = modes[process.argv[2]];
if (!mode) {
  console.error('usage: node .ci/schema-changes.mjs [--accept | --self-test]');
  process.exit(2);
}
await mode();
