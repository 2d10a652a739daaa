// Relay: documents compiled by its compiler, and its store.

import {
  commitMutation,
  createOperationDescriptor,
  Environment,
  fetchQuery,
  getPaginationMetadata,
  getPaginationVariables,
  getSingularSelector,
  Network,
  RecordSource,
  Store,
  type ConcreteRequest,
  type FragmentType,
  type GraphQLResponse,
  type MutationParameters,
  type OperationType,
  type ReaderFragment,
  type SelectorStoreUpdater,
  type SingularReaderSelector,
} from 'relay-runtime';
import AccountPage, { type AccountPageQuery } from './generated/relay/AccountPageQuery.graphql';
import Amount, { type Amount$key } from './generated/relay/Amount.graphql';
import CartCreate, { type CartCreateMutation } from './generated/relay/CartCreateMutation.graphql';
import CartLinesAdd, { type CartLinesAddMutation } from './generated/relay/CartLinesAddMutation.graphql';
import CartLinesRemove, { type CartLinesRemoveMutation } from './generated/relay/CartLinesRemoveMutation.graphql';
import CartLinesUpdate, { type CartLinesUpdateMutation } from './generated/relay/CartLinesUpdateMutation.graphql';
import CartPage, { type CartPageQuery } from './generated/relay/CartPageQuery.graphql';
import CartShippingMethodUpdate, {
  type CartShippingMethodUpdateMutation,
} from './generated/relay/CartShippingMethodUpdateMutation.graphql';
import CartStatus, { type CartStatusQuery } from './generated/relay/CartStatusQuery.graphql';
import CategoryPage, { type CategoryPageQuery } from './generated/relay/CategoryPageQuery.graphql';
import CategoryProducts, { type CategoryProductsQuery } from './generated/relay/CategoryProductsQuery.graphql';
import CategoryProductsFragment, {
  type CategoryProducts_category$key,
} from './generated/relay/CategoryProducts_category.graphql';
import CheckoutPage, { type CheckoutPageQuery } from './generated/relay/CheckoutPageQuery.graphql';
import HomePage, { type HomePageQuery } from './generated/relay/HomePageQuery.graphql';
import OrderStatus, { type OrderStatusQuery } from './generated/relay/OrderStatusQuery.graphql';
import PlaceOrder, { type PlaceOrderMutation } from './generated/relay/PlaceOrderMutation.graphql';
import ProductCard, { type ProductCard$key } from './generated/relay/ProductCard.graphql';
import ProductPage, { type ProductPageQuery } from './generated/relay/ProductPageQuery.graphql';
import RefetchNode, { type RefetchNodeQuery } from './generated/relay/RefetchNodeQuery.graphql';
import Register, { type RegisterMutation } from './generated/relay/RegisterMutation.graphql';
import ShippingFields, { type ShippingFields$key } from './generated/relay/ShippingFields.graphql';
import { expect, expectEqual, expectMerged, newEmail, orderInput, present, run, succeeded, type Shop } from './shop';

/** Reference to a fragment's data, with the type of the data, as the compiler generates it. */
type FragmentKey<Data = unknown> = Readonly<{ ' $data'?: Data; ' $fragmentSpreads': FragmentType }>;

/** Relay's store behind the few functions that its hooks for React are made of. */
class Client {
  readonly #environment: Environment;

  constructor(shop: Shop) {
    const network = Network.create(async (request, variables) => {
      const body = JSON.stringify({ query: request.text, operationName: request.name, variables });
      const headers = { 'Content-Type': 'application/json' };
      return (await shop.fetch(shop.url, { method: 'POST', headers, body })).json() as Promise<GraphQLResponse>;
    });
    this.#environment = new Environment({
      network,
      store: new Store(new RecordSource()),
      missingFieldHandlers: [
        // A node or cart in the store is found by its id without a request.
        { kind: 'linked', handle: (field, _, { id }) => (['node', 'cart'].includes(field.name) ? id : undefined) },
      ],
    });
  }

  /** Reads a query from the store, or requests it if something is missing. */
  async query<T extends OperationType>(
    query: ConcreteRequest,
    variables: T['variables'],
    fetchPolicy: 'network-only' | 'store-or-network' = 'store-or-network',
  ): Promise<T['response']> {
    this.#environment.retain(createOperationDescriptor(query, variables));
    return present(await fetchQuery<T>(this.#environment, query, variables, { fetchPolicy }).toPromise(), 'data');
  }

  /** Reads a query from the store; fails if something is missing. */
  read<T extends OperationType>(query: ConcreteRequest, variables: T['variables']): T['response'] {
    const operation = createOperationDescriptor(query, variables);
    expectEqual(
      this.#environment.check(operation).status,
      'available',
      `store for ${operation.request.node.params.name}`,
    );
    this.#environment.retain(operation);
    return present(this.#environment.lookup(operation.fragment).data, 'data');
  }

  /** Reads a fragment from the store. */
  readFragment<Data>(fragment: ReaderFragment, key: FragmentKey<Data>): Data {
    const { data, isMissingData } = this.#environment.lookup(this.#selector(fragment, key));
    expect(!isMissingData, `data of ${fragment.name} is missing in the store`);
    return present(data, 'data') as Data;
  }

  mutate<T extends MutationParameters>(
    mutation: ConcreteRequest,
    variables: T['variables'],
    optimisticUpdater?: SelectorStoreUpdater<T['response']>,
  ): Promise<T['response']> {
    return new Promise((onCompleted, onError) => {
      commitMutation<T>(this.#environment, { mutation, variables, onCompleted, onError, optimisticUpdater });
    });
  }

  /** Requests the next page of the connection in a fragment, which the store appends to the pages before it. */
  async loadNext(fragment: ReaderFragment, key: FragmentKey, count: number, after: string): Promise<void> {
    const { paginationRequest, paginationMetadata } = getPaginationMetadata(fragment, fragment.name);
    const { owner } = this.#selector(fragment, key);
    const { id } = this.readFragment(fragment, key) as { id: string };
    const variables = getPaginationVariables('forward', count, after, owner.variables, {}, paginationMetadata);
    await this.query(paginationRequest, { ...variables, id });
  }

  /** Reads an amount of money from the store. */
  readAmount(key: Amount$key): string {
    return this.readFragment(Amount, key).amount;
  }

  #selector(fragment: ReaderFragment, key: FragmentKey): SingularReaderSelector {
    return present(getSingularSelector(fragment, key), 'selector') as SingularReaderSelector;
  }
}

run(async (shop) => {
  const client = new Client(shop);
  await browse(shop, client);
  await pageThroughCategory(shop, client);
  const cart = await changeCart(shop, client);
  await buy(shop, client, cart);
});

async function browse(shop: Shop, client: Client): Promise<void> {
  const home = await shop.sends(['HomePageQuery'], () => client.query<HomePageQuery>(HomePage, {}));
  const key: ProductCard$key = present(home.featured.nodes[0], 'featured product');
  const card = client.readFragment(ProductCard, key);
  const variables = { slug: card.slug };
  const page = await shop.sends(['ProductPageQuery'], () => client.query<ProductPageQuery>(ProductPage, variables));
  expectEqual(page.product?.id, card.id, 'id of the product');
  await shop.sends([], () => client.query<ProductPageQuery>(ProductPage, variables));

  // The product is in the store, so it is not requested as a node unless that is asked for.
  const node = await shop.sends([], () => client.query<RefetchNodeQuery>(RefetchNode, { id: card.id }));
  const refetched = await shop.sends(['RefetchNodeQuery'], () =>
    client.query<RefetchNodeQuery>(RefetchNode, { id: card.id }, 'network-only'),
  );
  expectEqual([node.node?.name, refetched.node?.name], [card.name, card.name], 'name of the node');
}

async function pageThroughCategory(shop: Shop, client: Client): Promise<void> {
  const page = await client.query<CategoryPageQuery>(CategoryPage, { slug: 'paper' });
  expectEqual(page.category?.productConnection.totalCount, 40, 'count of the page');
  const { category } = await client.query<CategoryProductsQuery>(CategoryProducts, { slug: 'paper' });
  const key: CategoryProducts_category$key = present(category, 'category');
  const read = () => client.readFragment(CategoryProductsFragment, key).productConnection;
  const pages = [read().edges.map(({ node }) => node)];
  while (read().pageInfo.hasNextPage) {
    const { pageInfo, edges } = read();
    const after = present(pageInfo.endCursor, 'cursor');
    await shop.sends(['CategoryProductsPaginationQuery'], () =>
      client.loadNext(CategoryProductsFragment, key, 15, after),
    );
    pages.push(
      read()
        .edges.slice(edges.length)
        .map(({ node }) => node),
    );
  }
  expectEqual(
    pages.map(({ length }) => length),
    [15, 15, 10],
    'lengths of the pages',
  );
  expectMerged(
    pages,
    read().edges.map(({ node }) => node),
  );
  expectEqual(read().totalCount, 40, 'count');
}

/** Fills and changes a cart. Returns its id. */
async function changeCart(shop: Shop, client: Client): Promise<string> {
  const linesOf = async (slug: string, quantity: number) => {
    const { product } = await client.query<ProductPageQuery>(ProductPage, { slug });
    return [{ variantId: present(product?.variant, `variant of ${slug}`).id, quantity }];
  };
  const lines = await linesOf('paper-1', 2);
  const { cartCreate } = await client.mutate<CartCreateMutation>(CartCreate, { lines });
  const { id } = present(succeeded(cartCreate).cart, 'cart');
  const read = () => present(client.read<CartPageQuery>(CartPage, { id }).cart, 'cart');
  const readTotal = () => client.readAmount(read().cost.total);

  const add = async (slug: string, quantity: number) => {
    const variables = { id, lines: await linesOf(slug, quantity) };
    return succeeded((await client.mutate<CartLinesAddMutation>(CartLinesAdd, variables)).cartLinesAdd).warnings;
  };
  expectEqual(await add('paper-2', 1), [], 'warnings');
  const before = read();
  const totalBefore = readTotal();
  expectEqual(
    before.lines.map(({ quantity }) => quantity),
    [2, 1],
    'quantities',
  );
  const line = present(before.lines[0], 'line');

  // The optimistic quantity is in the store before the response, the new total after it, without another request.
  const update = (quantity: number) =>
    client.mutate<CartLinesUpdateMutation>(CartLinesUpdate, { id, lines: [{ id: line.id, quantity }] }, (store) => {
      store.get(line.id)?.setValue(quantity, 'quantity');
    });
  const updated = await shop.sends(['CartLinesUpdateMutation'], () => {
    const release = shop.delayRequests();
    const pending = update(3);
    expectEqual(read().lines[0]?.quantity, 3, 'optimistic quantity');
    expectEqual(readTotal(), totalBefore, 'total until the response');
    release();
    return pending;
  });
  succeeded(updated.cartLinesUpdate);
  expectEqual([read().lines[0]?.quantity, read().itemCount], [3, 4], 'updated quantities');
  expect(readTotal() !== totalBefore, 'the total changed');

  // A rejected update restores the cart.
  const accepted = read();
  const rejected = await update(10_001);
  expect(rejected.cartLinesUpdate?.userErrors.length === 1, 'the quantity is rejected');
  expectEqual(read(), accepted, 'cart after the rejected update');

  // A query of other amounts keeps those in the store.
  await shop.sends(['CheckoutPageQuery'], () => client.query<CheckoutPageQuery>(CheckoutPage, { cartId: id }));
  expectEqual(read(), accepted, 'cart after a query of other amounts');

  // More than the 100 units in stock are reduced to them.
  expectEqual(
    (await add('paper-3', 150)).map(({ code, requested, added }) => [code, requested, added]),
    [['QUANTITY_ADJUSTED', 150, 100]],
    'warnings',
  );
  const lineIds = [line.id, present(read().lines[2], 'adjusted line').id];
  succeeded((await client.mutate<CartLinesRemoveMutation>(CartLinesRemove, { id, lineIds })).cartLinesRemove);
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
  const registered = await client.mutate<RegisterMutation>(Register, { email, cartId: guestCartId });
  const payload = succeeded(registered.customerRegister);
  shop.accessToken = present(payload.tokens, 'tokens').accessToken;
  const { id } = present(payload.cart, 'cart of the customer');

  // The response to the selection of the shipping method updates the page.
  const checkout = await client.query<CheckoutPageQuery>(CheckoutPage, { cartId: id }, 'network-only');
  expectEqual(checkout.me?.email, email, 'email address');
  const key: ShippingFields$key = present(checkout.cart?.availableShippingOptions[0], 'shipping option');
  const option = client.readFragment(ShippingFields, key);
  const { shippingMethodId } = option;
  const variables = { id, shippingMethodId };
  const chosen = await client.mutate<CartShippingMethodUpdateMutation>(CartShippingMethodUpdate, variables);
  succeeded(chosen.cartShippingMethodUpdate);
  const { cost, shippingOption } = present(client.read<CheckoutPageQuery>(CheckoutPage, { cartId: id }).cart, 'cart');
  const selectedKey: ShippingFields$key = present(shippingOption, 'selected shipping method');
  const selected = client.readFragment(ShippingFields, selectedKey);
  expectEqual(selected.shippingMethodId, shippingMethodId, 'selected shipping method');
  expectEqual(client.readAmount(cost.shipping), client.readAmount(option.price), 'shipping costs');

  const input = { ...orderInput(), cartId: id, expectedTotal: client.readAmount(cost.total) };
  const bought = await client.mutate<PlaceOrderMutation>(PlaceOrder, { input });
  const order = present(succeeded(bought.checkoutComplete).order, 'order');
  expectEqual(order.cost.total.amount, input.expectedTotal, 'total of the order');

  const account = await client.query<AccountPageQuery>(AccountPage, {});
  expectEqual(
    account.me?.customer.orders?.nodes.map(({ number }) => number),
    [order.number],
    'orders',
  );
  const status = await client.query<OrderStatusQuery>(OrderStatus, {
    number: order.number,
    token: present(order.token, 'token'),
  });
  expectEqual(status.order?.id, order.id, 'order');

  const { node } = await client.query<RefetchNodeQuery>(RefetchNode, { id: order.id }, 'network-only');
  expectEqual([node?.number, node?.status], [order.number, order.status], 'order as a node');
  expectEqual(client.read<CartStatusQuery>(CartStatus, { id }).cart?.status, 'ORDERED', 'status of the cart');
}
