// What the scripts of all clients share: the connection to the shop, assertions, and the data of a purchase.

import { randomInt, randomUUID } from 'node:crypto';
import { format, isDeepStrictEqual } from 'node:util';
import introspection from './generated/introspection.json';

const LIMIT_MS = 30_000;

/** A request as it was sent. */
export interface SentRequest {
  url: string;
  method: string;
  body?: Record<string, unknown>;
}

/** A shop by its URL, with a `fetch` that counts the requests, and can delay them. */
export class Shop {
  readonly url: string;
  /** Sent with every request if set. */
  accessToken?: string;
  /** Names of the operations that were sent. */
  readonly sent: string[] = [];
  readonly requests: SentRequest[] = [];
  /** Whether responses may have errors. */
  allowsErrors = false;
  /** Token of an admin, if the test has passed one. */
  readonly adminToken = process.argv[3];
  #delay: Promise<void> = Promise.resolve();

  constructor(base: string) {
    this.url = `${base}/graphql`;
  }

  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const body = init.body ? JSON.parse(String(init.body)) : undefined;
    const { operationName } = body ?? Object.fromEntries(new URL(String(input)).searchParams);
    this.sent.push(operationName);
    this.requests.push({ url: String(input), method: init.method ?? 'GET', body });
    await this.#delay;
    const headers = new Headers(init.headers);
    if (this.accessToken) {
      headers.set('Authorization', `Bearer ${this.accessToken}`);
    }
    const response = await fetch(input, { ...init, headers });
    const { errors } = (await response.clone().json()) as { errors?: unknown };
    expect(!errors || this.allowsErrors, `${this.sent.at(-1)} has errors: ${JSON.stringify(errors)}`);
    return response;
  };

  /** Delays all requests until the returned function is called. */
  delayRequests(): () => void {
    let release = () => {};
    this.#delay = new Promise((resolve) => (release = resolve));
    return release;
  }

  /** Asserts that an action sends exactly these operations. Returns its result. */
  async sends<T>(operations: string[], action: () => Promise<T> | T): Promise<T> {
    const before = this.sent.length;
    const result = await action();
    expectEqual(this.sent.slice(before), operations, 'operations that were sent');
    return result;
  }
}

export function expect(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new Error(message);
  }
}

export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  expect(
    isDeepStrictEqual(actual, expected),
    `${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`,
  );
}

/** Returns the value; fails if there is none. */
export function present<T>(value: T, what: string): NonNullable<T> {
  expect(value !== null && value !== undefined, `no ${what}`);
  return value as NonNullable<T>;
}

/** Publishes the manifest of an app as admin. */
export async function publishManifest(shop: Shop, app: string, version: string, manifest: string): Promise<void> {
  shop.accessToken = present(shop.adminToken, 'token of an admin');
  const query = `mutation Publish($input: OperationVersionPublishInput!) {
    operationVersionPublish(input: $input) { operationVersion { id } userErrors { message } } }`;
  const body = JSON.stringify({ query, operationName: 'Publish', variables: { input: { app, version, manifest } } });
  const headers = { 'Content-Type': 'application/json' };
  const response = await shop.fetch(shop.url, { method: 'POST', headers, body });
  const { data } = (await response.json()) as { data: { operationVersionPublish: { userErrors: unknown } } };
  succeeded(data.operationVersionPublish);
}

/** Returns the entity of a mutation's payload; fails if the payload has user errors. */
export function succeeded<T extends { userErrors: unknown }>(payload: T | null | undefined): T {
  const existing = present(payload, 'payload');
  expectEqual(existing.userErrors, [], 'user errors');
  return existing;
}

/** Asserts that two pages are disjoint and together are the list without duplicates. */
export function expectMerged(pages: { id: string }[][], list: { id: string }[]): void {
  const ids = list.map(({ id }) => id);
  expectEqual(
    ids,
    pages.flat().map(({ id }) => id),
    'merged list',
  );
  expectEqual(new Set(ids).size, ids.length, 'number of distinct items');
}

/** Returns the names of the object types that have an id, by which clients identify their objects, and of those without. */
export function entityTypes(): { withId: string[]; withoutId: string[] } {
  const objects = introspection.__schema.types.filter(({ kind, name }) => kind === 'OBJECT' && !name.startsWith('__'));
  const hasId = ({ fields }: (typeof objects)[number]) => (fields ?? []).some(({ name }) => name === 'id');
  const names = (types: typeof objects) => types.map(({ name }) => name);
  return { withId: names(objects.filter(hasId)), withoutId: names(objects.filter((type) => !hasId(type))) };
}

/** Returns the possible types of each interface and union. */
export function possibleTypes(): Record<string, string[]> {
  const abstract = introspection.__schema.types.filter(({ possibleTypes }) => possibleTypes);
  return Object.fromEntries(
    abstract.map(({ name, possibleTypes }) => [name, (possibleTypes ?? []).map((type) => type.name)]),
  );
}

/** Orders of the customer: more than the account page has, and at most as many as one customer may place in an hour. */
export const ORDERS = 12;

/** Input of an order, paid on delivery. */
export function orderInput() {
  const address = {
    firstName: 'Wanjiku',
    lastName: 'Kamau',
    line1: 'Moi Avenue 1',
    city: 'Nairobi',
    countryCode: 'KE',
  };
  return {
    idempotencyKey: randomUUID(),
    paymentMethodId: 'cash_on_delivery',
    email: newEmail(),
    phone: `07${randomInt(10_000_000, 100_000_000)}`,
    shippingAddress: { address },
  };
}

/** Returns an email address that no account has. */
export function newEmail(): string {
  return `wanjiku-${randomUUID()}@example.com`;
}

/** Runs the script of a client. Fails on an error, on a warning of the client, or after the time limit. */
export function run(script: (shop: Shop) => Promise<void>): void {
  const fail = (error: unknown) => {
    console.log(error);
    process.exit(1);
  };
  console.warn = console.error = (...message: unknown[]) =>
    fail(new Error(`warning of the client: ${format(...message)}`));
  setTimeout(() => fail(new Error(`not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS).unref();
  const shop = new Shop(present(process.argv[2], 'URL'));
  script(shop).then(() => {
    console.log(`passed with ${shop.sent.length} requests`);
    process.exit(0);
  }, fail);
}
