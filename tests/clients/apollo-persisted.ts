// Apollo Client with its persisted-query link: automatic persisted queries, and documents of a published manifest.

import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { generatePersistedQueryIdsFromManifest } from '@apollo/persisted-query-lists';
import { print, type DocumentNode } from 'graphql';
import * as documents from './generated/documents';
import { expect, expectEqual, present, publishManifest, run, succeeded, type SentRequest, type Shop } from './shop';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

run(async (shop) => {
  const manifest = createManifest();
  await publishManifest(shop, 'apollo', '1.0', JSON.stringify(manifest));
  await requestTrustedDocuments(shop, manifest);
  await registerDocuments(shop);
});

function createClient(shop: Shop, link: ApolloLink): ApolloClient {
  const http = new HttpLink({ uri: shop.url, fetch: shop.fetch });
  // Objects without an id, of which queries select different fields.
  const typePolicies = { Availability: { merge: true }, Cost: { merge: true }, LineCost: { merge: true } };
  return new ApolloClient({ cache: new InMemoryCache({ typePolicies }), link: link.concat(http) });
}

/** Returns the manifest of all operations, as Apollo's generator writes it. */
function createManifest() {
  const client = new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.empty() });
  const operations = Object.values(documents).flatMap((document: DocumentNode) => {
    const definition = document.definitions[0];
    if (definition?.kind !== 'OperationDefinition') {
      return [];
    }
    const body = print(client.documentTransform.transformDocument(document));
    const name = present(definition.name, 'name').value;
    return [{ id: sha256(body), name, type: definition.operation, body }];
  });
  return { format: 'apollo-persisted-query-manifest' as const, version: 1 as const, operations };
}

/** Requests documents by the ids of the manifest; no request has a text. */
async function requestTrustedDocuments(shop: Shop, manifest: ReturnType<typeof createManifest>): Promise<void> {
  shop.accessToken = undefined;
  const link = new PersistedQueryLink(
    generatePersistedQueryIdsFromManifest({ loadManifest: () => Promise.resolve(manifest) }),
  );
  const client = createClient(shop, link);
  const before = shop.requests.length;
  const home = await client.query({ query: documents.HomePageDocument });
  const slug = present(home.data?.featured.nodes[0], 'featured product').slug;
  const page = await client.query({ query: documents.ProductPageDocument, variables: { slug } });
  const variantId = present(page.data?.product?.variant, 'variant').id;
  const variables = { lines: [{ variantId, quantity: 1 }] };
  const created = await client.mutate({ mutation: documents.CartCreateDocument, variables });
  present(succeeded(created.data?.cartCreate).cart, 'cart');
  const requests = shop.requests.slice(before);
  expectEqual(requests.map(hasText), [false, false, false], 'requests with a text');
}

/** Registers documents of staff under their digests; guests may send none of their own. */
async function registerDocuments(shop: Shop): Promise<void> {
  shop.accessToken = shop.adminToken;
  for (const useGETForHashedQueries of [false, true]) {
    // With a name of its own, so that each run registers it anew.
    const name = `Registered${useGETForHashedQueries ? 'Get' : 'Post'}`;
    const query = withName(documents.ProductPageDocument, name);
    const client = createClient(shop, new PersistedQueryLink({ sha256, useGETForHashedQueries }));
    const before = shop.requests.length;
    shop.allowsErrors = true;
    await client.query({ query, variables: { slug: 'paper-1' } });
    shop.allowsErrors = false;
    await client.query({ query, variables: { slug: 'paper-2' } });
    // The digest is unknown, then the text is registered, then the digest is enough.
    const requests = shop.requests.slice(before);
    expectEqual(requests.map(hasText), [false, true, false], 'requests with a text');
    expectEqual(requests[2]?.method, useGETForHashedQueries ? 'GET' : 'POST', 'method');
  }
}

function withName(document: DocumentNode, name: string): DocumentNode {
  const definitions = document.definitions.map((definition) =>
    definition.kind === 'OperationDefinition' ? { ...definition, name: { kind: 'Name', value: name } } : definition,
  );
  return { ...document, definitions } as DocumentNode;
}

function hasText({ body, url }: SentRequest): boolean {
  expect(body || url.includes('extensions='), 'a request without a document');
  return body ? typeof body.query === 'string' : new URL(url).searchParams.has('query');
}
