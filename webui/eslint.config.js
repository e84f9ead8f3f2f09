// What may be wrong, not how it looks: `node dev/lint.mjs`.
const browser = ['window', 'document', 'location', 'history', 'navigator', 'localStorage', 'console', 'fetch', 'performance', 'addEventListener',
  'removeEventListener', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'requestAnimationFrame', 'cancelAnimationFrame', 'innerWidth',
  'ResizeObserver', 'IntersectionObserver', 'AbortController', 'URL', 'URLSearchParams', 'Worker', 'WebSocket', 'TextDecoder', 'TextEncoder', 'TextDecoderStream', 'getSelection',
  'postMessage', 'onmessage', 'Intl', 'globalThis', 'getComputedStyle', 'matchMedia', 'Blob', 'devicePixelRatio', 'structuredClone', 'crypto'];
const node = ['process', 'Buffer', 'URL', 'console', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'fetch', 'AbortController', 'performance', 'TextEncoder', 'TextDecoder'];
const globals = (names) => Object.fromEntries(names.map((n) => [n, 'writable']));
const rules = {
  'no-undef': 'error', 'no-unused-vars': ['error', { args: 'after-used' }], 'no-const-assign': 'error', 'no-dupe-keys': 'error', 'no-unreachable': 'error',
  'no-redeclare': 'error', 'no-dupe-args': 'error', 'no-fallthrough': 'error', 'no-self-assign': 'error', 'no-cond-assign': 'error', 'no-unsafe-finally': 'error',
  'no-unused-private-class-members': 'error', 'no-shadow-restricted-names': 'error', 'no-eval': 'error', 'no-implied-eval': 'error', 'no-var': 'error', 'prefer-const': 'error',
  eqeqeq: ['error', 'always', { null: 'ignore' }], 'no-restricted-properties': ['error', { property: 'innerHTML', message: 'Texts of tasks are never markup.' }],
  'max-lines': ['error', 500], 'no-trailing-spaces': 'off',
};
// A component that stands in JSX is used; ESLint 9, the last for Debian's Node, does not see that by itself.
const usesJsx = {
  create: (context) => ({
    JSXOpeningElement(node) {
      let name = node.name;
      while (name.type === 'JSXMemberExpression') name = name.object;
      if (name.type === 'JSXIdentifier') context.sourceCode.markVariableAsUsed(name.name, node);
    },
  }),
};
const languageOptions = { ecmaVersion: 2024, sourceType: 'module', parserOptions: { ecmaFeatures: { jsx: true } } };

export default [
  { files: ['src/**/*.{js,jsx}'], languageOptions: { ...languageOptions, globals: globals(browser) }, plugins: { page: { rules: { 'uses-jsx': usesJsx } } }, rules: { ...rules, 'page/uses-jsx': 'error' } },
  { files: ['dev/**/*.mjs', 'test/**/*.mjs', '*.mjs', '*.js'], languageOptions: { ...languageOptions, globals: globals([...node, 'document', 'location', 'getComputedStyle', 'requestAnimationFrame']) }, rules },
];
