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
import CartCreate, { type CartCreateMutation } from './generated/relay/CartCreateMutation.graphql';
import CartFields, { type CartFields$data, type CartFields$key } from './generated/relay/CartFields.graphql';
import CartLinesAdd, { type CartLinesAddMutation } from './generated/relay/CartLinesAddMutation.graphql';
import CartLinesRemove, { type CartLinesRemoveMutation } from './generated/relay/CartLinesRemoveMutation.graphql';
import CartLinesUpdate, { type CartLinesUpdateMutation } from './generated/relay/CartLinesUpdateMutation.graphql';
import CartContents, { type CartContentsQuery } from './generated/relay/CartContentsQuery.graphql';
import CartShippingMethodUpdate, {
  type CartShippingMethodUpdateMutation,
} from './generated/relay/CartShippingMethodUpdateMutation.graphql';
import CategoryPage, { type CategoryPageQuery } from './generated/relay/CategoryPageQuery.graphql';
import CategoryProducts, { type CategoryProductsQuery } from './generated/relay/CategoryProductsQuery.graphql';
import CategoryProductsFragment, {
  type CategoryProducts_category$key,
} from './generated/relay/CategoryProducts_category.graphql';
import CheckoutComplete, { type CheckoutCompleteMutation } from './generated/relay/CheckoutCompleteMutation.graphql';
import HomePage, { type HomePageQuery } from './generated/relay/HomePageQuery.graphql';
import MiniCart, { type MiniCartQuery } from './generated/relay/MiniCartQuery.graphql';
import OrderStatus, { type OrderStatusQuery } from './generated/relay/OrderStatusQuery.graphql';
import ProductCard, { type ProductCard$key } from './generated/relay/ProductCard.graphql';
import ProductPage, { type ProductPageQuery } from './generated/relay/ProductPageQuery.graphql';
import RefetchNode, { type RefetchNodeQuery } from './generated/relay/RefetchNodeQuery.graphql';
import Register, { type RegisterMutation } from './generated/relay/RegisterMutation.graphql';
import { checkoutInput, expect, expectEqual, expectMerged, newEmail, present, run, succeeded, type Shop } from './shop';

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
  const variant = async (slug: string) => {
    const { product } = await client.query<ProductPageQuery>(ProductPage, { slug });
    return present(product?.variant, `variant of ${slug}`).id;
  };
  const cartOf = (payload: { cart: CartFields$key | null | undefined; userErrors: unknown } | null | undefined) =>
    client.readFragment(CartFields, present(succeeded(payload).cart, 'cart'));
  const lines = [{ variantId: await variant('paper-1'), quantity: 2 }];
  const { id } = cartOf((await client.mutate<CartCreateMutation>(CartCreate, { lines })).cartCreate);
  const read = () =>
    client.readFragment<CartFields$data>(
      CartFields,
      present(client.read<CartContentsQuery>(CartContents, { id }).cart, 'cart'),
    );

  const added = [{ variantId: await variant('paper-2'), quantity: 1 }];
  cartOf((await client.mutate<CartLinesAddMutation>(CartLinesAdd, { id, lines: added })).cartLinesAdd);
  const before = read();
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
    expectEqual(read().cost, before.cost, 'cost until the response');
    release();
    return pending;
  });
  expectEqual(read(), cartOf(updated.cartLinesUpdate), 'cart after the update');
  expectEqual(read().itemCount, 4, 'number of items');
  expect(read().cost.total.amount !== before.cost.total.amount, 'the total changed');

  // A rejected update restores the cart.
  const accepted = read();
  const rejected = await update(10_001);
  expect(rejected.cartLinesUpdate?.userErrors.length === 1, 'the quantity is rejected');
  expectEqual(read(), accepted, 'cart after the rejected update');

  // A query of other amounts keeps those in the store.
  await shop.sends(['MiniCartQuery'], () => client.query<MiniCartQuery>(MiniCart, { id }));
  expectEqual(read(), accepted, 'cart after a query of other amounts');

  cartOf((await client.mutate<CartLinesRemoveMutation>(CartLinesRemove, { id, lineIds: [line.id] })).cartLinesRemove);
  expectEqual(
    read().lines.map(({ quantity }) => quantity),
    [1],
    'quantities after the removal',
  );
  return id;
}

/** Registers with the guest's cart and orders it. */
async function buy(shop: Shop, client: Client, guestCartId: string): Promise<void> {
  const registered = await client.mutate<RegisterMutation>(Register, { email: newEmail(), cartId: guestCartId });
  const payload = succeeded(registered.customerRegister);
  shop.accessToken = present(payload.tokens, 'tokens').accessToken;
  const cartKey: CartFields$key = present(payload.cart, 'cart of the customer');
  const { id, availableShippingOptions } = client.readFragment(CartFields, cartKey);

  const shippingMethodId = present(availableShippingOptions[0], 'shipping option').shippingMethodId;
  await client.mutate<CartShippingMethodUpdateMutation>(CartShippingMethodUpdate, { id, shippingMethodId });
  const { cost } = client.readFragment(CartFields, cartKey);
  const bought = await client.mutate<CheckoutCompleteMutation>(CheckoutComplete, {
    input: checkoutInput(id, cost.total.amount),
  });
  const order = present(succeeded(bought.checkoutComplete).order, 'order');

  const account = await client.query<AccountPageQuery>(AccountPage, {});
  expectEqual(
    account.me?.orders?.nodes.map(({ number }) => number),
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
  await client.query<CartContentsQuery>(CartContents, { id }, 'network-only');
  expectEqual(client.readFragment(CartFields, cartKey).status, 'ORDERED', 'status of the cart');
}
