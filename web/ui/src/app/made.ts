import type { EnrollToken } from '../api/types';
import { store } from '../ui/store';

/** The join code made last: it is told once, and stays on the page until that is left. */
export const made = store<EnrollToken | undefined>(undefined);
