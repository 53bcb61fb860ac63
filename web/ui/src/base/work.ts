// What My work says of a machine that cannot be opened now, and of a right that has to be asked for.
import type { Device, Right } from '../api/types';

/** Why a machine cannot be opened now. Since when it is offline stands beside it and is not said again. */
export function whyNot(w: { device: Pick<Device, 'online' | 'state' | 'frozen'>; refused?: string }): string {
  if (!w.device.online && w.device.state === 'ok' && !w.device.frozen) return 'opens when it is online';
  return w.refused ?? '';
}

/** For how long at most, and what else a request needs. */
export function asking(rights: Pick<Right, 'open'>[]): { most: string; wants: string } {
  const all = [...new Set(rights.flatMap((r) => (r.open ?? []).flatMap((terms) => terms.split(', '))))];
  const most = all.filter((o) => o.startsWith('up to '));
  return { most: most.join(', '), wants: all.filter((o) => !most.includes(o)).join(', ') };
}

/** Rights to open the same machine as somebody else. */
export const others = <R extends Pick<Right, 'login'>>(rights: R[], login: string): R[] => rights.filter((r) => r.login && r.login !== login);
