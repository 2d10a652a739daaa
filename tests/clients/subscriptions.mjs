// Follows a cart with the subscription clients that other people use, and checks that each gets every change once.
//
//   node tests/clients/subscriptions.mjs http://127.0.0.1:8000
//
// Needs the modules of `.ci/run`, in the folder SAVANNAH_BROWSER_MODULES.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const LIMIT_MS = 30_000;
const CHANGES = 5;
const [url] = process.argv.slice(2);
const modules = process.env.SAVANNAH_BROWSER_MODULES;
if (!url || !modules) {
  console.error('usage: SAVANNAH_BROWSER_MODULES=FOLDER node tests/clients/subscriptions.mjs URL');
  process.exit(2);
}
const require = createRequire(join(modules, 'from-here.cjs'));
const { parse } = require('graphql');
const graphqlWs = require('graphql-ws');
const graphqlSse = require('graphql-sse');
const apollo = require('@apollo/client');
const { GraphQLWsLink } = require('@apollo/client/link/subscriptions');
const urql = require('@urql/core');
const webSocketImpl = require('ws');
// Apollo Client compares errors with the constants of the browser's class.
globalThis.WebSocket ??= webSocketImpl;

const address = `${url}/graphql`;
const socketAddress = address.replace(/^http/, 'ws');
const CART_UPDATED = 'subscription Cart($id: ID!, $after: String) { cartUpdated(id: $id, after: $after) { cart { note } cursor } }';
const FORBIDDEN = 'subscription { orderPlaced { cursor } }';
setTimeout(() => {
  console.error('the clients take too long');
  process.exit(1);
}, LIMIT_MS * 2).unref();

/** Sends a query or mutation and returns its data. */
async function send(query, variables = {}) {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

/** Each client: subscribes to an operation and returns a function that ends the subscription. */
const CLIENTS = {
  'graphql-ws': () => {
    const client = graphqlWs.createClient({ url: socketAddress, webSocketImpl });
    return (query, variables, sink) => client.subscribe({ query, variables }, sink);
  },
  'graphql-sse': () => {
    const client = graphqlSse.createClient({ url: address });
    return (query, variables, sink) => client.subscribe({ query, variables }, sink);
  },
  '@apollo/client': () => {
    const socket = graphqlWs.createClient({ url: socketAddress, webSocketImpl });
    const client = new apollo.ApolloClient({ link: new GraphQLWsLink(socket), cache: new apollo.InMemoryCache() });
    return (query, variables, sink) => {
      const subscription = client.subscribe({ query: parse(query), variables }).subscribe({
        next: ({ data, error }) => (error ? sink.error(error) : sink.next({ data })),
        error: sink.error,
        complete: sink.complete,
      });
      return () => subscription.unsubscribe();
    };
  },
  urql: () => {
    const socket = graphqlWs.createClient({ url: socketAddress, webSocketImpl });
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    });
    const client = new urql.Client({ url: address, exchanges: [urql.subscriptionExchange({ forwardSubscription })] });
    return (query, variables, sink) => {
      const { unsubscribe } = client.subscription(query, variables).subscribe(({ data, error }) => {
        if (error) {
          sink.error(error);
        } else if (data) {
          sink.next({ data });
        }
      });
      return unsubscribe;
    };
  },
};

/** Returns the error of a subscription that the server refuses. */
function refusalOf(subscribe) {
  return new Promise((resolve, reject) => {
    subscribe(FORBIDDEN, {}, {
      next: (result) => (result.errors ? resolve(result.errors) : reject(new Error(`unexpected ${JSON.stringify(result)}`))),
      error: resolve,
      complete: () => {},
    });
  });
}

const { products } = await send('{ products(first: 1) { nodes { variants { id } } } }');
const lines = [{ variantId: products.nodes[0].variants[0].id, quantity: 1 }];
for (const [name, create] of Object.entries(CLIENTS)) {
  const subscribe = create();
  const { cartCreate } = await send('mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } } }', {
    input: { lines },
  });
  const { id } = cartCreate.cart;
  const setNote = (note) =>
    send('mutation($id: ID!, $note: String) { cartNoteUpdate(id: $id, note: $note) { userErrors { code } } }', { id, note });
  const received = [];
  let wake = () => {};
  const failed = new Promise((_, reject) => {
    const stop = subscribe(CART_UPDATED, { id }, {
      next: ({ data, errors }) => {
        assert.equal(errors, undefined);
        received.push(data.cartUpdated);
        wake();
      },
      error: (error) => reject(new Error(`${name}: ${JSON.stringify(error)}`)),
      complete: () => {},
    });
    create.stop = stop;
  });
  // The subscription has started when a change is delivered; from then on, each is.
  for (let attempt = 0; received.length === 0; attempt += 1) {
    await setNote(`start ${attempt}`);
    const delivered = new Promise((resolve) => { wake = resolve; });
    await Promise.race([delivered, failed, new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  const first = received.length;
  const expected = [];
  for (let number = 1; number <= CHANGES; number += 1) {
    const note = `change ${number}`;
    expected.push(note);
    await setNote(note);
    while (received.at(-1)?.cart.note !== note) {
      await Promise.race([new Promise((resolve) => { wake = resolve; }), failed]);
    }
  }
  const notes = received.map(({ cart }) => cart.note).filter((note) => note?.startsWith('change'));
  // An event has the state at its delivery, so that two may have the same.
  assert.deepEqual([...new Set(notes)], expected, name);
  assert.equal(new Set(received.map(({ cursor }) => cursor)).size, received.length, `${name}: a change came twice`);
  create.stop();

  // A second subscription continues after the first event that the client had.
  const replayed = [];
  const all = received.slice(first);
  await new Promise((resolve, reject) => {
    const stop = subscribe(CART_UPDATED, { id, after: received[first - 1].cursor }, {
      next: ({ data }) => {
        replayed.push(data.cartUpdated.cursor);
        if (replayed.length === all.length) {
          setTimeout(() => { stop(); resolve(); }, 0);
        }
      },
      error: reject,
      complete: () => {},
    });
  });
  assert.deepEqual(replayed, all.map(({ cursor }) => cursor), `${name}: continued`);

  const error = await refusalOf(subscribe);
  const refusal = `${error.message} ${JSON.stringify(error)}`;
  assert.match(refusal, /UNAUTHENTICATED|Authentication/u, `${name}: ${refusal}`);
  console.log(`${name}: passed with ${received.length} changes`);
}
process.exit(0);
