// What a keyboard and an input method send to a page, by the protocol of the browser's own developer tools.

/** Types characters with AltGr held, as on the layouts where they have no key of their own: the page sees no Ctrl and no Alt. */
export async function altGr(page, keys) {
  const cdp = await page.context().newCDPSession(page);
  const right = { key: 'AltGraph', code: 'AltRight', windowsVirtualKeyCode: 225, location: 2 };
  await cdp.send('Input.dispatchKeyEvent', { type: 'keyDown', ...right });
  for (const [letter, text] of Object.entries(keys)) {
    const key = { key: text, code: `Key${letter}`, windowsVirtualKeyCode: letter.charCodeAt(0) };
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyDown', ...key, text, unmodifiedText: letter.toLowerCase() });
    await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', ...key });
  }
  await cdp.send('Input.dispatchKeyEvent', { type: 'keyUp', ...right });
  await cdp.detach();
}

/** Composes text step by step, and then inserts the one that was chosen; an empty one ends the composition without text. */
export async function compose(page, steps, chosen) {
  const cdp = await page.context().newCDPSession(page);
  const show = (text) => cdp.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
  for (const text of steps) await show(text);
  if (chosen) await cdp.send('Input.insertText', { text: chosen });
  else await show('');
  await cdp.detach();
}
