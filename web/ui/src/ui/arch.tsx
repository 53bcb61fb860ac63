/** The mark: a gate in a gate. */
export const Arch = () => (
  <svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.75" aria-hidden="true">
    <path d="M2.5 18V8.5a7.5 7.5 0 0 1 15 0V18M6.5 18V9a3.5 3.5 0 0 1 7 0v3" />
  </svg>
);
