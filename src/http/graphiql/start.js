// Starts GraphiQL. A separate file, because the page's Content-Security-Policy allows no inline scripts.
'use strict';

const root = document.getElementById('graphiql');

// One URL for all operations: queries and mutations by POST, subscriptions by WebSocket.
const graph = new URL('/graphql', location.href);
const socket = new URL(graph);
socket.protocol = graph.protocol === 'https:' ? 'wss:' : 'ws:';

const fetcher = GraphiQL.createFetcher({
  url: graph.href,
  subscriptionUrl: socket.href,
  headers: { accept: 'application/graphql-response+json, application/json' },
  enableIncrementalDelivery: false,
});

// GraphiQL persists its state in localStorage. With shouldPersistHeaders: false its history still contains the headers,
// and a token must not outlive the tab.
const HISTORY = ['graphiql:queries', 'graphiql:favorites'];
const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, HISTORY.includes(key) ? withoutHeaders(value) : value),
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};

function ownKeys() {
  return Object.keys(localStorage).filter((key) => key.startsWith('graphiql:'));
}

function withoutHeaders(history) {
  return JSON.stringify(JSON.parse(history), (key, value) => (key === 'headers' ? null : value));
}

// Without the examples the page still works: GraphiQL then shows its own default text.
async function examples() {
  try {
    const answer = await fetch(root.dataset.examples);
    return answer.ok ? [{ query: await answer.text() }] : undefined;
  } catch {
    return undefined;
  }
}

// Puts the cursor into the first operation, so that Ctrl-Enter runs it.
function pointAtFirstOperation() {
  const editor = root.querySelector('.graphiql-query-editor .CodeMirror')?.CodeMirror;
  if (!editor) {
    requestAnimationFrame(pointAtFirstOperation);
    return;
  }
  const line = editor.getValue().split('\n').findIndex((text) => /^(query|mutation|subscription|\{)/.test(text));
  editor.setCursor({ line: Math.max(line, 0), ch: 0 });
  editor.focus();
}

// Explains why the server rejects the documents of this page, if it does. A click removes the text.
function showNotice() {
  if (root.dataset.notice) {
    const notice = document.createElement('p');
    notice.id = 'notice';
    notice.setAttribute('role', 'status');
    notice.textContent = root.dataset.notice;
    notice.addEventListener('click', () => notice.remove());
    document.body.append(notice);
  }
}

async function start() {
  const { createElement } = React;
  const logo = createElement(GraphiQL.Logo, null, createElement('span', { className: 'savannah' }, 'Savannah'));
  const page = createElement(
    GraphiQL,
    {
      fetcher,
      storage,
      defaultTabs: await examples(),
      shouldPersistHeaders: false,
      inputValueDeprecation: true,
      schemaDescription: true,
    },
    logo,
  );
  root.replaceChildren();
  ReactDOM.createRoot(root).render(page);
  pointAtFirstOperation();
}

showNotice();
start();
