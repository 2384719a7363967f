// Everything that is tried in a browser.

import { after } from 'node:test';

import { closeBrowser } from './harness/browser';
import './pages/pages';

after(closeBrowser);
