// The gateway of Apollo Federation in front of the shop and of a second subgraph, whose reviews extend products.
//
//   node tests/clients/gateway.mjs http://127.0.0.1:8000/graphql
//
// Needs the modules of `.ci/run`, in the folder SAVANNAH_BROWSER_MODULES.

import { createRequire } from 'node:module';
import { join } from 'node:path';

const [url] = process.argv.slice(2);
const modules = process.env.SAVANNAH_BROWSER_MODULES;
if (!url || !modules) {
  console.error('usage: SAVANNAH_BROWSER_MODULES=FOLDER node tests/clients/gateway.mjs URL');
  process.exit(2);
}
const require = createRequire(join(modules, 'from-here.cjs'));
const { parse } = require('graphql');
const { composeServices } = require('@apollo/composition');
const { ApolloGateway, LocalGraphQLDataSource, RemoteGraphQLDataSource } = require('@apollo/gateway');
const { buildSubgraphSchema } = require('@apollo/subgraph');

const REVIEWS = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])
  type Query { latestReviews: [Review!]! }
  type Review { text: String! product: Product! }
  type Product @key(fields: "id") { id: ID! reviews: [Review!]! }
`);

const shop = new RemoteGraphQLDataSource({ url });
const { products, sdl } = await readShop();
const review = (product) => ({ text: `good: ${product.id}`, product: { id: product.id } });
const reviews = buildSubgraphSchema({
  typeDefs: REVIEWS,
  resolvers: {
    Query: { latestReviews: () => products.map(review) },
    Product: { reviews: (product) => [review(product)] },
  },
});

const composition = composeServices([
  { name: 'shop', url, typeDefs: parse(sdl) },
  { name: 'reviews', url: 'http://reviews.example', typeDefs: REVIEWS },
]);
expect(!composition.errors, `the subgraphs do not compose: ${composition.errors?.join('\n')}`);

const gateway = new ApolloGateway({
  supergraphSdl: composition.supergraphSdl,
  buildService: ({ name }) => (name === 'shop' ? shop : new LocalGraphQLDataSource(reviews)),
});
const { executor } = await gateway.load();

// From the shop to the other subgraph.
const listed = await execute('{ products(first: 3) { nodes { id name reviews { text } } } }');
for (const [index, product] of listed.products.nodes.entries()) {
  expect(product.id === products[index].id, `the product is ${JSON.stringify(product)}`);
  expect(product.reviews[0].text === `good: ${product.id}`, `the reviews are ${JSON.stringify(product.reviews)}`);
}
// From the other subgraph to the shop.
const reviewed = await execute('{ latestReviews { text product { name sku category { name } } } }');
const names = reviewed.latestReviews.map(({ product }) => product.name);
expect(JSON.stringify(names) === JSON.stringify(products.map(({ name }) => name)), `the names are ${names}`);
expect(reviewed.latestReviews.every(({ product }) => product.sku && product.category.name), 'a field is missing');
await gateway.stop();
console.log(`passed with ${products.length} products`);

async function readShop() {
  const query = '{ _service { sdl } products(first: 3) { nodes { id name } } }';
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query }),
    signal: AbortSignal.timeout(60_000),
  });
  const { data, errors } = await response.json();
  expect(!errors, JSON.stringify(errors));
  return { sdl: data._service.sdl, products: data.products.nodes };
}

async function execute(query) {
  const document = parse(query);
  const request = { query, variables: {} };
  const { data, errors } = await executor({ document, request, queryHash: query, context: {}, metrics: {} });
  expect(!errors, JSON.stringify(errors));
  return data;
}

function expect(condition, message) {
  if (!condition) {
    console.error(message);
    process.exit(1);
  }
}
