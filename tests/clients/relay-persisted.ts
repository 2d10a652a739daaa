// Relay with persisted documents: its compiler writes the manifest, its network layer sends only `doc_id`.

import { readFileSync } from 'node:fs';
import {
  commitMutation,
  Environment,
  fetchQuery,
  Network,
  RecordSource,
  Store,
  type ConcreteRequest,
  type GraphQLResponse,
  type OperationType,
} from 'relay-runtime';
import CartCreate, { type CartCreateMutation } from './generated/relay/CartCreateMutation.graphql';
import HomePage, { type HomePageQuery } from './generated/relay/HomePageQuery.graphql';
import ProductPage, { type ProductPageQuery } from './generated/relay/ProductPageQuery.graphql';
import { expect, expectEqual, present, publishManifest, run, succeeded, type Shop } from './shop';

run(async (shop) => {
  await publishManifest(shop, 'relay', '1.0', readFileSync('generated/persisted.json', 'utf8'));
  shop.accessToken = undefined;
  const environment = createEnvironment(shop);
  const query = async <T extends OperationType>(node: ConcreteRequest, variables: T['variables']) =>
    present(await fetchQuery<T>(environment, node, variables).toPromise(), 'data') as T['response'];
  const home = await query<HomePageQuery>(HomePage, {});
  expect(home.featured.nodes.length > 0, 'there are featured products');
  const page = await query<ProductPageQuery>(ProductPage, { slug: 'paper-1' });
  const variantId = present(page.product?.variant, 'variant').id;
  const created = await new Promise<CartCreateMutation['response']>((onCompleted, onError) => {
    const variables = { lines: [{ variantId, quantity: 1 }] };
    commitMutation<CartCreateMutation>(environment, { mutation: CartCreate, variables, onCompleted, onError });
  });
  present(succeeded(created.cartCreate).cart, 'cart');
  const sent = shop.requests.slice(-3).map(({ body }) => Object.keys(body ?? {}));
  expectEqual(sent, Array(3).fill(['doc_id', 'variables']), 'members of the requests');
});

function createEnvironment(shop: Shop): Environment {
  const network = Network.create(async (request, variables) => {
    expectEqual(request.text, null, 'text of a persisted document');
    const body = JSON.stringify({ doc_id: present(request.id, 'id of a persisted document'), variables });
    const headers = { 'Content-Type': 'application/json' };
    return (await shop.fetch(shop.url, { method: 'POST', headers, body })).json() as Promise<GraphQLResponse>;
  });
  return new Environment({ network, store: new Store(new RecordSource()) });
}
