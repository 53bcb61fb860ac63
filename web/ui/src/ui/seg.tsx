/** One of a few, all in sight. */
export function Seg({ legend, value, options, onPick, hidden }: { legend: string; value: string; options: [string, string][]; onPick: (v: string) => void; hidden?: boolean }) {
  const name = 'seg-' + legend.toLowerCase().replace(/\W+/g, '-');
  return (
    <fieldset class="field">
      <legend class={hidden ? 'vh' : undefined}>{legend}</legend>
      <div class="seg">
        {options.map(([v, text]) => (
          <label class={v === value ? 'on' : undefined} key={v}>
            <input type="radio" name={name} value={v} checked={v === value} onChange={() => onPick(v)} />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
