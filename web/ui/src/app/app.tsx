// The pages behind sign-in.
import { render } from 'preact';
import '../styles/status.css';
import '../styles/buttons.css';
import '../styles/blocks.css';
import '../styles/controls.css';
import '../styles/parts.css';
import '../styles/tables.css';
import { Inside } from './inside';
import { isOurs, useAddress } from './router';

function App() {
  const at = useAddress();
  return <Inside at={at} known={isOurs(at.pathname)} />;
}

export const start = (at: Element) => render(<App />, at);
