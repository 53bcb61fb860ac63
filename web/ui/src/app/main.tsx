// The app's document. Before sign-in little is needed, so that is a small page of its own; the rest comes behind it.
import '../styles/tokens.css';
import '../styles/base.css';
import { applySettings } from '../ui/settings';

applySettings();
const page = location.pathname === '/signin' ? import('./signin') : import('./app');
page.then((m) => m.start(document.body)).catch(() => document.body.append('This page could not be loaded: the gateway does not answer. Load it again.'));
