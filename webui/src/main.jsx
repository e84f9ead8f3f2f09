import { render } from 'preact';
import { App, preload } from './app.jsx';
import { startRouter } from './router.js';
import { startKeys } from './lib/keys.js';
import { start } from './store.js';
import './styles/base.css';
import './styles/table.css';
import './styles/views.css';
import './styles/topology.css';

start();
startRouter();
startKeys();
render(<App />, document.getElementById('app'));
(window.requestIdleCallback ?? setTimeout)(preload);
