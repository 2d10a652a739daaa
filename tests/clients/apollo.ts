// Apollo Client with its normalized cache and generated types.

import { ApolloClient, HttpLink, InMemoryCache, type FieldFunctionOptions, type Reference } from '@apollo/client';
import * as documents from './generated/documents';
import {
  checkoutInput,
  entityTypes,
  expect,
  expectEqual,
  expectMerged,
  newEmail,
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
      // Amounts of one cart, order or line, whichever of them a query selects.
      Cost: { merge: true },
      LineCost: { merge: true },
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

/** Fills and changes a cart. Returns its id. */
async function changeCart(shop: Shop, client: ApolloClient): Promise<string> {
  const variant = async (slug: string) => {
    const { data } = await client.query({ query: documents.ProductPageDocument, variables: { slug } });
    return present(data?.product?.variant, `variant of ${slug}`).id;
  };
  const lines = [{ variantId: await variant('paper-1'), quantity: 2 }];
  const created = await client.mutate({ mutation: documents.CartCreateDocument, variables: { lines } });
  const { id } = present(succeeded(created.data?.cartCreate).cart, 'cart');
  const read = () =>
    present(
      client.readQuery({ query: documents.CartContentsDocument, variables: { id } }, true)?.cart,
      'cart in the cache',
    );
  await shop.sends([], () => client.query({ query: documents.CartContentsDocument, variables: { id } }));

  const added = [{ variantId: await variant('paper-2'), quantity: 1 }];
  await client.mutate({ mutation: documents.CartLinesAddDocument, variables: { id, lines: added } });
  const before = read();
  expectEqual(
    before.lines.map(({ quantity }) => quantity),
    [2, 1],
    'quantities',
  );
  const line = present(before.lines[0], 'line');

  // The optimistic quantity is in the cache before the response, the new total after it, without another request.
  const update = (quantity: number) => ({
    mutation: documents.CartLinesUpdateDocument,
    variables: { id, lines: [{ id: line.id, quantity }] },
    optimisticResponse: {
      cartLinesUpdate: {
        __typename: 'CartPayload' as const,
        cart: {
          ...before,
          lines: before.lines.map((other) => (other.id === line.id ? { ...other, quantity } : other)),
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
  expectEqual(read(), succeeded(updated.data?.cartLinesUpdate).cart, 'cart after the update');
  expectEqual(read().itemCount, 4, 'number of items');
  expect(read().cost.total.amount !== before.cost.total.amount, 'the total changed');

  // A rejected update restores the cart.
  const accepted = read();
  const rejected = await client.mutate(update(10_001));
  expect(rejected.data?.cartLinesUpdate?.userErrors.length === 1, 'the quantity is rejected');
  expectEqual(read(), accepted, 'cart after the rejected update');

  // A query of other amounts keeps those in the cache.
  const miniCart = { query: documents.MiniCartDocument, variables: { id } };
  await shop.sends(['MiniCart'], () => client.query(miniCart));
  expectEqual(read(), accepted, 'cart after a query of other amounts');

  await client.mutate({ mutation: documents.CartLinesRemoveDocument, variables: { id, lineIds: [line.id] } });
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
  const { id, availableShippingOptions } = present(payload.cart, 'cart of the customer');

  const shippingMethodId = present(availableShippingOptions[0], 'shipping option').shippingMethodId;
  await client.mutate({ mutation: documents.CartShippingMethodUpdateDocument, variables: { id, shippingMethodId } });
  const { cart } = present(
    client.readQuery({ query: documents.CartContentsDocument, variables: { id } }),
    'cart in the cache',
  );
  const input = checkoutInput(id, present(cart, 'cart').cost.total.amount);
  const bought = await client.mutate({ mutation: documents.CheckoutCompleteDocument, variables: { input } });
  const order = present(succeeded(bought.data?.checkoutComplete).order, 'order');

  const account = await client.query({ query: documents.AccountPageDocument });
  expectEqual(
    account.data?.me?.orders?.nodes.map(({ number }) => number),
    [order.number],
    'orders',
  );
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
  const ordered = await client.query({
    query: documents.CartContentsDocument,
    variables: { id },
    fetchPolicy: 'network-only',
  });
  expectEqual(ordered.data?.cart?.status, 'ORDERED', 'status of the cart');
}
