// Runs a GraphQL client with the storefront's documents against a shop with the demo catalog.
//
//   node tests/clients/run.mjs apollo|urql|relay|apollo-persisted|relay-persisted http://127.0.0.1:8000 [ADMIN_TOKEN]
//
// In a temporary folder it generates code from the shop's introspection and from the documents, compiles the client's
// script with the generated types, and runs it. Needs the modules of `.ci/run`, in the folder SAVANNAH_BROWSER_MODULES.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIMIT_MS = 60_000;
const SCRIPTS = fileURLToPath(new URL('.', import.meta.url));
const STOREFRONT = fileURLToPath(new URL('../../docs/storefront', import.meta.url));
const CLIENTS = {
  apollo: generateTypedDocuments,
  urql: generateTypedDocuments,
  relay: generateRelayArtifacts,
  'apollo-persisted': generateTypedDocuments,
  'relay-persisted': generateRelayArtifacts,
};

const [client, url, adminToken] = process.argv.slice(2);
const modules = process.env.SAVANNAH_BROWSER_MODULES;
if (!CLIENTS[client] || !url || !modules) {
  console.error('usage: SAVANNAH_BROWSER_MODULES=FOLDER node tests/clients/run.mjs CLIENT URL [ADMIN_TOKEN]');
  process.exit(2);
}
const require = createRequire(join(modules, 'from-here.cjs'));
const {
  getIntrospectionQuery,
  buildClientSchema,
  printSchema,
  isScalarType,
  isSpecifiedScalarType,
  parse,
  print,
} = require('graphql');

const folder = mkdtempSync(join(tmpdir(), 'savannah-clients-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
symlinkSync(join(modules, 'node_modules'), join(folder, 'node_modules'));
for (const script of ['shop.ts', `${client}.ts`]) {
  cpSync(join(SCRIPTS, script), join(folder, script));
}
mkdirSync(join(folder, 'generated'));

const schema = await introspect();
const scalars = Object.values(schema.getTypeMap())
  .filter((type) => isScalarType(type) && !isSpecifiedScalarType(type))
  .map(({ name }) => [name, name === 'JSON' ? 'unknown' : 'string']);
await CLIENTS[client](readDefinitions(), Object.fromEntries(scalars));
run(join('node_modules', '.bin', 'tsc'), ['--project', writeCompilerSettings()]);
const output = run(process.execPath, ['--conditions=development', join('compiled', `${client}.js`), url, ...(adminToken ? [adminToken] : [])]);
process.stdout.write(`${client}: ${output}`);

/** Asks the shop for its schema and keeps the answer for the script. */
async function introspect() {
  const query = getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true, oneOf: true });
  const authorization = adminToken ? { Authorization: `Bearer ${adminToken}` } : {};
  const headers = { 'Content-Type': 'application/json', ...authorization };
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query }),
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const { data, errors } = await response.json();
  if (errors) {
    throw new Error(`introspection failed: ${JSON.stringify(errors)}`);
  }
  writeFileSync(join(folder, 'generated', 'introspection.json'), JSON.stringify(data));
  return buildClientSchema(data);
}

/**
 * Returns the operations and fragments of the storefront, and those that only these tests use. A fragment may be repeated
 * in several documents.
 */
function readDefinitions() {
  const files = [STOREFRONT, SCRIPTS].flatMap((parent) => readdirSync(parent).map((file) => join(parent, file)));
  const forRelay = join(SCRIPTS, 'relay.graphql');
  const definitions = new Map();
  for (const file of files.filter((name) => name.endsWith('.graphql') && (name !== forRelay || client.startsWith('relay')))) {
    for (const definition of parse(readFileSync(file, 'utf8')).definitions) {
      const name = definition.name.value;
      const existing = definitions.get(name);
      if (existing && print(existing) !== print(definition)) {
        throw new Error(`${name} of ${file} is defined differently in another file`);
      }
      definitions.set(name, definition);
    }
  }
  return [...definitions.values()];
}

/** Writes a module with a typed document for each operation and fragment, as for Apollo Client and urql. */
async function generateTypedDocuments(definitions, scalars) {
  const config = { scalars: { ...scalars, ID: 'string' }, strictScalars: true };
  const output = await require('@graphql-codegen/core').codegen({
    schema: parse(printSchema(schema)),
    schemaAst: schema,
    documents: [{ location: STOREFRONT, document: { kind: 'Document', definitions } }],
    config,
    filename: 'documents.ts',
    plugins: [{ operations: {} }, { documents: {} }],
    pluginMap: {
      operations: require('@graphql-codegen/typescript-operations'),
      documents: require('@graphql-codegen/typed-document-node'),
    },
  });
  writeFileSync(join(folder, 'generated', 'documents.ts'), output);
}

/**
 * Runs the compiler of Relay, which reads documents from modules and requires that the name of an operation is that of
 * its module and its kind: `HomePage` in the module `HomePage` becomes `HomePageQuery`.
 */
async function generateRelayArtifacts(definitions, customScalarTypes) {
  mkdirSync(join(folder, 'documents'));
  mkdirSync(join(folder, 'generated', 'relay'));
  for (const definition of definitions) {
    const name = definition.name.value;
    const suffix = definition.operation ? definition.operation[0].toUpperCase() + definition.operation.slice(1) : '';
    const renamed = { ...definition, name: { ...definition.name, value: name + suffix } };
    const module = name.split('_')[0];
    appendFileSync(join(folder, 'documents', `${module}.ts`), `graphql\`${print(renamed)}\`;\n`);
  }
  writeFileSync(join(folder, 'generated', 'schema.graphql'), printSchema(schema));
  const settings = {
    src: './documents',
    schema: './generated/schema.graphql',
    language: 'typescript',
    artifactDirectory: './generated/relay',
    eagerEsModules: true,
    customScalarTypes,
    ...(client === 'relay-persisted' && {
      persistConfig: { file: './generated/persisted.json', algorithm: 'SHA256' },
    }),
  };
  writeFileSync(join(folder, 'generated', 'persisted.json'), '{}');
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify(settings));
  run(process.execPath, [join('node_modules', 'relay-compiler', 'cli.js'), 'relay.config.json']);
}

function writeCompilerSettings() {
  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    target: 'es2022',
    module: 'nodenext',
    resolveJsonModule: true,
    skipLibCheck: true,
    types: ['node'],
    lib: ['es2023'],
    rootDir: '.',
    outDir: 'compiled',
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [`${client}.ts`] }));
  return 'tsconfig.json';
}

/** Runs a program in the folder and returns its output; exits if it fails or does not end in time. */
function run(program, programArguments) {
  const { status, signal, error, stdout, stderr } = spawnSync(program, programArguments, {
    cwd: folder,
    encoding: 'utf8',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  if (status !== 0) {
    console.error(`${program} ${programArguments.join(' ')}: ${error ?? signal ?? status}\n${stdout}${stderr}`);
    process.exit(1);
  }
  return stdout;
}
