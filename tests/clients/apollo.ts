// Apollo Client with its normalized cache and generated types.

import { ApolloClient, HttpLink, InMemoryCache, type FieldFunctionOptions, type Reference } from '@apollo/client';
import * as documents from './generated/documents';
import {
  ORDERS,
  entityTypes,
  expect,
  expectEqual,
  expectMerged,
  newEmail,
  orderInput,
  possibleTypes,
  present,
  run,
  succeeded,
  type Shop,
} from './shop';

/** Appends a page of a connection to the pages before it. */
const pagedByCursor = {
  keyArgs: ['filter', 'sort'],
  merge(
    existing: { nodes: Reference[] } | undefined,
    incoming: { nodes: Reference[] },
    { args }: FieldFunctionOptions,
  ) {
    return existing && args?.after
      ? { ...existing, ...incoming, nodes: [...existing.nodes, ...incoming.nodes] }
      : incoming;
  },
};

function createClient(shop: Shop): ApolloClient {
  const cache = new InMemoryCache({
    possibleTypes: possibleTypes(),
    typePolicies: {
      Query: {
        fields: {
          // A cart in the cache is found by its id without a request, like a node.
          cart: (existing, { args, toReference }) => existing ?? toReference({ __typename: 'Cart', id: args?.id }),
        },
      },
      Cart: {
        fields: { lines: { merge: false }, problems: { merge: false }, availableShippingOptions: { merge: false } },
      },
      // Objects without an id, of which queries select different fields.
      Availability: { merge: true },
      Cost: { merge: true },
      LineCost: { merge: true },
      Shop: { merge: true },
      Category: { fields: { productConnection: pagedByCursor } },
      Customer: { fields: { orders: pagedByCursor } },
    },
  });
  return new ApolloClient({ cache, link: new HttpLink({ uri: shop.url, fetch: shop.fetch }) });
}

run(async (shop) => {
  const client = createClient(shop);
  await browse(shop, client);
  await pageThroughCategory(shop, client);
  await search(shop, client);
  const cart = await changeCart(shop, client);
  await buy(shop, client, cart);
  expectNormalized(client);
});

/** Asserts that no object of the cache contains another one that has an id: it should refer to it instead. */
function expectNormalized(client: ApolloClient): void {
  const { withId } = entityTypes();
  const check = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      const { __typename: type } = value as { __typename?: string };
      expect(
        !path.includes('.') || !type || !withId.includes(type),
        `${path} contains a ${type} instead of a reference`,
      );
      Object.entries(value).forEach(([key, child]) => check(child, `${path}.${key.replace(/\(.*/, '')}`));
    }
  };
  const objects = Object.entries(client.cache.extract() as object);
  expect(objects.length > 50, `only ${objects.length} objects are in the cache`);
  objects.forEach(([id, object]) => Object.entries(object).forEach(([field, value]) => check(value, `${id}.${field}`)));
}

async function browse(shop: Shop, client: ApolloClient): Promise<void> {
  const home = await shop.sends(['HomePage'], () => client.query({ query: documents.HomePageDocument }));
  const card = present(home.data?.featured.nodes[0], 'featured product');
  const variables = { slug: card.slug };
  const page = await shop.sends(['ProductPage'], () =>
    client.query({ query: documents.ProductPageDocument, variables }),
  );
  const product = present(page.data?.product, 'product');
  await shop.sends([], () => client.query({ query: documents.ProductPageDocument, variables }));

  // The product of both pages is one object: a change of one is a change of the other.
  expectEqual(product.id, card.id, 'id of the product');
  const id = present(client.cache.identify({ __typename: 'Product', id: card.id }), 'cache id');
  client.cache.modify({ id, fields: { name: () => 'changed' } });
  const names = [
    client.readQuery({ query: documents.HomePageDocument })?.featured.nodes[0]?.name,
    client.readQuery({ query: documents.ProductPageDocument, variables })?.product?.name,
  ];
  expectEqual(names, ['changed', 'changed'], 'names in the cache');

  // Refetching the node restores it.
  const refetch = {
    query: documents.RefetchNodeDocument,
    variables: { id: card.id },
    fetchPolicy: 'network-only',
  } as const;
  await shop.sends(['RefetchNode'], () => client.query(refetch));
  expectEqual(
    client.readQuery({ query: documents.HomePageDocument })?.featured.nodes[0]?.name,
    card.name,
    'refetched name',
  );
}

async function pageThroughCategory(shop: Shop, client: ApolloClient): Promise<void> {
  const query = documents.CategoryPageDocument;
  const variables = { slug: 'paper' };
  const first = await client.query({ query, variables });
  const firstPage = present(first.data?.category?.productConnection, 'first page');
  const after = present(firstPage.pageInfo.endCursor, 'cursor');
  const second = await shop.sends(['CategoryPage'], () =>
    client.watchQuery({ query, variables }).fetchMore({ variables: { after } }),
  );
  const secondPage = present(second.data?.category?.productConnection, 'second page');
  expect(!secondPage.pageInfo.hasNextPage, 'the second page is the last');

  const merged = await shop.sends([], () => client.query({ query, variables }));
  const list = present(merged.data?.category?.productConnection, 'merged list');
  expectMerged([firstPage.nodes, secondPage.nodes], list.nodes);
  expectEqual(list.totalCount, list.nodes.length, 'count');
}

async function search(shop: Shop, client: ApolloClient): Promise<void> {
  const { data } = await shop.sends(['SearchSuggestions'], () =>
    client.query({ query: documents.SearchSuggestionsDocument, variables: { query: 'pap' } }),
  );
  const { queries, products, categories } = present(data?.searchSuggest, 'suggestions');
  expect(queries.includes('paper') && products.length === 5, `suggestions: ${queries}, ${products.length} products`);
  expectEqual(
    categories.map(({ name }) => name),
    ['Paper'],
    'suggested categories',
  );
}

/** Returns lines with a quantity of the variant of a product page. */
async function linesOf(client: ApolloClient, slug: string, quantity: number) {
  const { data } = await client.query({ query: documents.ProductPageDocument, variables: { slug } });
  return [{ variantId: present(data?.product?.variant, `variant of ${slug}`).id, quantity }];
}

/** Fills and changes a cart. Returns its id. */
async function changeCart(shop: Shop, client: ApolloClient): Promise<string> {
  const lines = await linesOf(client, 'paper-1', 2);
  const created = await client.mutate({ mutation: documents.CartCreateDocument, variables: { lines } });
  const { id } = present(succeeded(created.data?.cartCreate).cart, 'cart');
  const page = { query: documents.CartPageDocument, variables: { id } };
  const read = () => present(client.readQuery(page, true)?.cart, 'cart in the cache');
  await shop.sends([], () => client.query(page));

  const add = async (slug: string, quantity: number) => {
    const variables = { id, lines: await linesOf(client, slug, quantity) };
    const { data } = await client.mutate({ mutation: documents.CartLinesAddDocument, variables });
    return succeeded(data?.cartLinesAdd).warnings;
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
  const optimistic = present(
    client.readFragment({
      fragment: documents.CartFieldsFragmentDoc,
      fragmentName: 'CartFields',
      from: { __typename: 'Cart', id },
    }),
    'fields of the cart',
  );
  const update = (quantity: number) => ({
    mutation: documents.CartLinesUpdateDocument,
    variables: { id, lines: [{ id: line.id, quantity }] },
    optimisticResponse: {
      cartLinesUpdate: {
        __typename: 'CartPayload' as const,
        cart: {
          ...optimistic,
          lines: optimistic.lines.map((other) => (other.id === line.id ? { ...other, quantity } : other)),
        },
        userErrors: [],
      },
    },
  });
  const updated = await shop.sends(['CartLinesUpdate'], () => {
    const release = shop.delayRequests();
    const pending = client.mutate(update(3));
    expectEqual(read().lines[0]?.quantity, 3, 'optimistic quantity');
    expectEqual(read().cost, before.cost, 'cost until the response');
    release();
    return pending;
  });
  const { cost } = present(succeeded(updated.data?.cartLinesUpdate).cart, 'updated cart');
  expectEqual([read().lines[0]?.quantity, read().itemCount, read().cost.total], [3, 4, cost.total], 'updated cart');
  expect(read().cost.total.amount !== before.cost.total.amount, 'the total changed');

  // A rejected update restores the cart.
  const accepted = read();
  const rejected = await client.mutate(update(10_001));
  expect(rejected.data?.cartLinesUpdate?.userErrors.length === 1, 'the quantity is rejected');
  expectEqual(read(), accepted, 'cart after the rejected update');

  // A query of other amounts keeps those in the cache.
  const checkout = { query: documents.CheckoutPageDocument, variables: { cartId: id } };
  await shop.sends(['CheckoutPage'], () => client.query(checkout));
  expectEqual(read(), accepted, 'cart after a query of other amounts');

  // More than the 100 units in stock are reduced to them.
  expectEqual(
    (await add('paper-3', 150)).map(({ code, requested, added }) => [code, requested, added]),
    [['QUANTITY_ADJUSTED', 150, 100]],
    'warnings',
  );
  const lineIds = [line.id, present(read().lines[2], 'adjusted line').id];
  await client.mutate({ mutation: documents.CartLinesRemoveDocument, variables: { id, lineIds } });
  expectEqual(
    read().lines.map(({ quantity }) => quantity),
    [1],
    'quantities after the removal',
  );
  return id;
}

/** Registers with the guest's cart and orders it. */
async function buy(shop: Shop, client: ApolloClient, guestCartId: string): Promise<void> {
  const email = newEmail();
  const registered = await client.mutate({
    mutation: documents.RegisterDocument,
    variables: { email, cartId: guestCartId },
  });
  const payload = succeeded(registered.data?.customerRegister);
  shop.accessToken = present(payload.tokens, 'tokens').accessToken;
  const { id } = present(payload.cart, 'cart of the customer');

  // The response to the selection of the shipping method updates the page.
  const page = { query: documents.CheckoutPageDocument, variables: { cartId: id } };
  const { data: checkout } = await client.query({ ...page, fetchPolicy: 'network-only' });
  expectEqual(checkout?.me?.email, email, 'email address');
  const { shippingMethodId } = present(checkout?.cart?.availableShippingOptions[0], 'shipping option');
  await client.mutate({ mutation: documents.CartShippingMethodUpdateDocument, variables: { id, shippingMethodId } });
  const { cost, shippingOption } = present(client.readQuery(page)?.cart, 'cart in the cache');
  expectEqual(shippingOption?.shippingMethodId, shippingMethodId, 'selected shipping method');
  expectEqual(cost.shipping, shippingOption?.price, 'shipping costs');

  const input = { ...orderInput(), cartId: id, expectedTotal: cost.total.amount };
  const bought = await client.mutate({ mutation: documents.PlaceOrderDocument, variables: { input } });
  const order = present(succeeded(bought.data?.checkoutComplete).order, 'order');
  expectEqual(order.cost.total, cost.total, 'total of the order');

  const variables = { number: order.number, token: present(order.token, 'token') };
  const status = await client.query({ query: documents.OrderStatusDocument, variables });
  expectEqual(status.data?.order?.id, order.id, 'order');

  const refetch = {
    query: documents.RefetchNodeDocument,
    variables: { id: order.id },
    fetchPolicy: 'network-only',
  } as const;
  const { data } = await client.query(refetch);
  expectEqual(
    data?.node,
    { __typename: 'Order', id: order.id, number: order.number, status: order.status },
    'order as a node',
  );
  const cartStatus = { query: documents.CartStatusDocument, variables: { id } };
  const ordered = await shop.sends([], () => client.query(cartStatus));
  expectEqual(ordered.data?.cart?.status, 'ORDERED', 'status of the cart');
  await pageThroughOrders(shop, client, order.number, shippingMethodId);
}

/** Places more orders than the account page has, and pages through them. */
async function pageThroughOrders(shop: Shop, client: ApolloClient, first: string, shippingMethodId: string) {
  const query = documents.AccountPageDocument;
  const account = await client.query({ query });
  const numbers = [first];
  expectEqual(
    account.data?.me?.customer.orders?.nodes.map(({ number }) => number),
    numbers,
    'orders',
  );
  const lines = await linesOf(client, 'paper-1', 1);
  while (numbers.length < ORDERS) {
    const variables = { input: { ...orderInput(), lines, shippingMethodId } };
    const { data } = await client.mutate({ mutation: documents.OrderCreateDocument, variables });
    numbers.unshift(present(succeeded(data?.orderCreate).order, 'order').number);
  }

  await client.query({ query, fetchPolicy: 'network-only' });
  const read = () => present(client.readQuery({ query })?.me?.customer.orders, 'orders in the cache');
  expectEqual([read().nodes.length, read().pageInfo.hasNextPage], [10, true], 'first page');
  const after = present(read().pageInfo.endCursor, 'cursor');
  await shop.sends(['AccountPage'], () => client.watchQuery({ query }).fetchMore({ variables: { after } }));
  expectEqual(
    read().nodes.map(({ number }) => number),
    numbers,
    'orders of both pages',
  );
  expectEqual([read().totalCount, read().pageInfo.hasNextPage], [ORDERS, false], 'orders in the cache');
}
