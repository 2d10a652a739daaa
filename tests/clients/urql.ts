// urql with Graphcache, which knows the schema from the shop's introspection.

import { Client, fetchExchange, type AnyVariables, type RequestPolicy, type TypedDocumentNode } from '@urql/core';
import { cacheExchange, type Cache } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import * as documents from './generated/documents';
import introspection from './generated/introspection.json';
import {
  ORDERS,
  entityTypes,
  expect,
  expectEqual,
  expectMerged,
  newEmail,
  orderInput,
  present,
  run,
  succeeded,
  type Shop,
} from './shop';

function createClient(shop: Shop): Client {
  const cache = cacheExchange({
    schema: introspection as never,
    // Objects without an id, such as prices, are part of the object around them.
    keys: Object.fromEntries(entityTypes().withoutId.map((type) => [type, () => null])),
    resolvers: {
      Query: {
        // A cart or node in the cache is found by its id without a request.
        cart: (_, { id }) => ({ __typename: 'Cart', id }),
      },
      Category: { productConnection: relayPagination() },
      Customer: { orders: relayPagination() },
    },
    optimistic: {
      cartLinesUpdate: ({ id, lines }: { id: string; lines: { id: string; quantity: number }[] }, cache: Cache) => ({
        __typename: 'CartPayload',
        userErrors: [],
        cart: { __typename: 'Cart', id, lines: cartLines(cache, id, lines) },
      }),
    } as never,
    logger: (severity, message) => expect(severity === 'debug', `${severity} of the cache: ${message}`),
  });
  return new Client({ url: shop.url, fetch: shop.fetch, exchanges: [cache, fetchExchange] });
}

/** Returns the lines of a cart in the cache, with new quantities. */
function cartLines(cache: Cache, cartId: string, updates: { id: string; quantity: number }[]) {
  const keys = cache.resolve({ __typename: 'Cart', id: cartId }, 'lines') as string[];
  return keys.map((key) => {
    const id = cache.resolve(key, 'id') as string;
    const quantity = updates.find((update) => update.id === id)?.quantity ?? cache.resolve(key, 'quantity');
    return { __typename: 'CartLine', id, quantity };
  });
}

run(async (shop) => {
  const client = createClient(shop);
  await browse(shop, client);
  await pageThroughCategory(shop, client);
  const cart = await changeCart(shop, client);
  await buy(shop, client, cart);
});

async function query<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  requestPolicy: RequestPolicy = 'cache-first',
): Promise<Data> {
  const { data, error } = await client.query(document, variables, { requestPolicy }).toPromise();
  expect(!error, `error of the client: ${error}`);
  return present(data, 'data') as Data;
}

async function mutate<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const { data, error } = await client.mutation(document, variables).toPromise();
  expect(!error, `error of the client: ${error}`);
  return present(data, 'data') as Data;
}

async function browse(shop: Shop, client: Client): Promise<void> {
  const home = await shop.sends(['HomePage'], () => query(client, documents.HomePageDocument, {}));
  const card = present(home.featured.nodes[0], 'featured product');
  const page = await shop.sends(['ProductPage'], () =>
    query(client, documents.ProductPageDocument, { slug: card.slug }),
  );
  expectEqual(page.product?.id, card.id, 'id of the product');
  await shop.sends([], () => query(client, documents.ProductPageDocument, { slug: card.slug }));

  const refetched = await shop.sends(['RefetchNode'], () =>
    query(client, documents.RefetchNodeDocument, { id: card.id }),
  );
  expectEqual(refetched.node?.id, card.id, 'id of the node');
}

async function pageThroughCategory(shop: Shop, client: Client): Promise<void> {
  const read = async (after?: string) => {
    const { category } = await query(client, documents.CategoryPageDocument, { slug: 'paper', after });
    return present(category, 'category').productConnection;
  };
  const first = await read();
  const all = await shop.sends(['CategoryPage'], () => read(present(first.pageInfo.endCursor, 'cursor')));
  const merged = await shop.sends([], () => read());
  expectMerged([first.nodes, all.nodes.slice(first.nodes.length)], merged.nodes);
  expectEqual(merged.totalCount, merged.nodes.length, 'count');
  expect(!merged.pageInfo.hasNextPage, 'the merged list has all pages');
}

/** Returns lines with a quantity of the variant of a product page. */
async function linesOf(client: Client, slug: string, quantity: number) {
  const { product } = await query(client, documents.ProductPageDocument, { slug });
  return [{ variantId: present(product?.variant, `variant of ${slug}`).id, quantity }];
}

/** Fills and changes a cart. Returns its id. */
async function changeCart(shop: Shop, client: Client): Promise<string> {
  const lines = await linesOf(client, 'paper-1', 2);
  const created = await mutate(client, documents.CartCreateDocument, { lines });
  const { id } = present(succeeded(created.cartCreate).cart, 'cart');
  const read = () => present(client.readQuery(documents.CartPageDocument, { id })?.data?.cart, 'cart in the cache');
  await shop.sends([], read);

  const add = async (slug: string, quantity: number) => {
    const variables = { id, lines: await linesOf(client, slug, quantity) };
    return succeeded((await mutate(client, documents.CartLinesAddDocument, variables)).cartLinesAdd).warnings;
  };
  expectEqual(await add('paper-2', 1), [], 'warnings');
  const before = read();
  expectEqual(
    before.lines.map(({ quantity }) => quantity),
    [2, 1],
    'quantities',
  );
  const line = present(before.lines[0], 'line');

  // The optimistic quantity is in the cache before the response, the new total after it, without another request.
  const update = (quantity: number) =>
    mutate(client, documents.CartLinesUpdateDocument, { id, lines: [{ id: line.id, quantity }] });
  const updated = await shop.sends(['CartLinesUpdate'], () => {
    const release = shop.delayRequests();
    const pending = update(3);
    expectEqual(read().lines[0]?.quantity, 3, 'optimistic quantity');
    expectEqual(read().cost, before.cost, 'cost until the response');
    release();
    return pending;
  });
  const { cost } = present(succeeded(updated.cartLinesUpdate).cart, 'updated cart');
  expectEqual([read().lines[0]?.quantity, read().itemCount, read().cost.total], [3, 4, cost.total], 'updated cart');
  expect(read().cost.total.amount !== before.cost.total.amount, 'the total changed');

  // A rejected update restores the cart.
  const accepted = read();
  const rejected = await update(10_001);
  expect(rejected.cartLinesUpdate?.userErrors.length === 1, 'the quantity is rejected');
  expectEqual(read(), accepted, 'cart after the rejected update');

  // A query of other amounts keeps those in the cache.
  await shop.sends(['CheckoutPage'], () => query(client, documents.CheckoutPageDocument, { cartId: id }));
  expectEqual(read(), accepted, 'cart after a query of other amounts');

  // More than the 100 units in stock are reduced to them.
  expectEqual(
    (await add('paper-3', 150)).map(({ code, requested, added }) => [code, requested, added]),
    [['QUANTITY_ADJUSTED', 150, 100]],
    'warnings',
  );
  const lineIds = [line.id, present(read().lines[2], 'adjusted line').id];
  succeeded((await mutate(client, documents.CartLinesRemoveDocument, { id, lineIds })).cartLinesRemove);
  expectEqual(
    read().lines.map(({ quantity }) => quantity),
    [1],
    'quantities after the removal',
  );
  return id;
}

/** Registers with the guest's cart and orders it. */
async function buy(shop: Shop, client: Client, guestCartId: string): Promise<void> {
  const email = newEmail();
  const registered = await mutate(client, documents.RegisterDocument, { email, cartId: guestCartId });
  const payload = succeeded(registered.customerRegister);
  shop.accessToken = present(payload.tokens, 'tokens').accessToken;
  const { id } = present(payload.cart, 'cart of the customer');

  // The response to the selection of the shipping method updates the page.
  const checkout = await query(client, documents.CheckoutPageDocument, { cartId: id }, 'network-only');
  expectEqual(checkout.me?.email, email, 'email address');
  const { shippingMethodId } = present(checkout.cart?.availableShippingOptions[0], 'shipping option');
  const chosen = await mutate(client, documents.CartShippingMethodUpdateDocument, { id, shippingMethodId });
  succeeded(chosen.cartShippingMethodUpdate);
  const page = await shop.sends([], () => query(client, documents.CheckoutPageDocument, { cartId: id }));
  const { cost, shippingOption } = present(page.cart, 'cart in the cache');
  expectEqual(shippingOption?.shippingMethodId, shippingMethodId, 'selected shipping method');
  expectEqual(cost.shipping, shippingOption?.price, 'shipping costs');

  const input = { ...orderInput(), cartId: id, expectedTotal: cost.total.amount };
  const bought = await mutate(client, documents.PlaceOrderDocument, { input });
  const order = present(succeeded(bought.checkoutComplete).order, 'order');
  expectEqual(order.cost.total, cost.total, 'total of the order');

  const status = await query(client, documents.OrderStatusDocument, {
    number: order.number,
    token: present(order.token, 'token'),
  });
  expectEqual(status.order?.id, order.id, 'order');

  const { node } = await query(client, documents.RefetchNodeDocument, { id: order.id }, 'network-only');
  expect(node && 'number' in node, 'an order as a node');
  expectEqual([node.number, node.status], [order.number, order.status], 'order as a node');
  const { cart } = await shop.sends([], () => query(client, documents.CartStatusDocument, { id }));
  expectEqual(cart?.status, 'ORDERED', 'status of the cart');
  await pageThroughOrders(shop, client, order.number, shippingMethodId);
}

/** Places more orders than the account page has, and pages through them. */
async function pageThroughOrders(shop: Shop, client: Client, firstNumber: string, shippingMethodId: string) {
  const read = async (after?: string, policy?: RequestPolicy) => {
    const { me } = await query(client, documents.AccountPageDocument, { after }, policy);
    return present(me?.customer.orders, 'orders');
  };
  const numbers = [firstNumber];
  expectEqual(
    (await read()).nodes.map(({ number }) => number),
    numbers,
    'orders',
  );
  const lines = await linesOf(client, 'paper-1', 1);
  while (numbers.length < ORDERS) {
    const input = { ...orderInput(), lines, shippingMethodId };
    const { orderCreate } = await mutate(client, documents.OrderCreateDocument, { input });
    numbers.unshift(present(succeeded(orderCreate).order, 'order').number);
  }

  const first = await read(undefined, 'network-only');
  expectEqual([first.nodes.length, first.pageInfo.hasNextPage], [10, true], 'first page');
  await shop.sends(['AccountPage'], () => read(present(first.pageInfo.endCursor, 'cursor')));
  const merged = await shop.sends([], () => read());
  expectEqual(
    merged.nodes.map(({ number }) => number),
    numbers,
    'orders of both pages',
  );
  expectEqual([merged.totalCount, merged.pageInfo.hasNextPage], [ORDERS, false], 'orders in the cache');
}
