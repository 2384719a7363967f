import { start } from '../../src/portal/start';
import { sample } from './vault';

const root = document.getElementById('page');
if (root === null) throw new Error('the page has no place for its contents');
start(sample(new URLSearchParams(location.search).get('state') ?? ''), root);
