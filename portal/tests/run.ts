// Everything that is tried in a browser.

import { after } from 'node:test';

import { closeBrowser } from './harness/browser';
import './journeys/account';
import './journeys/deletion';
import './journeys/devices';
import './journeys/first';
import './journeys/hostile';
import './journeys/lost';
import './journeys/panel';
import './journeys/two-factor';
import './pages/pages';

after(closeBrowser);
