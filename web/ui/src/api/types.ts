// Short names for the bodies of the API.
import type { components } from './schema';

type S = components['schemas'];
export type Channel = S['Channel'];
export type Device = S['Device'];
export type EnrollToken = S['EnrollToken'];
export type EnrollTokenNew = S['EnrollTokenNew'];
export type LogHead = S['LogHead'];
export type Me = S['Me'];
export type MyWork = S['MyWork'];
export type Problem = S['Problem'];
export type Proposal = S['Proposal'];
export type Request = S['Request'];
export type RequestPage = S['RequestPage'];
export type Right = S['Right'];
export type Session = S['Session'];
export type SessionDetail = S['SessionDetail'];
export type SessionNew = S['SessionNew'];
export type SessionPage = S['SessionPage'];
export type SessionTicket = S['SessionTicket'];
export type SignIn = S['SignIn'];
export type Timeline = S['Timeline'];
export type Verdict = S['Verdict'];
export type Way = S['Way'];
export type WhoCan = S['WhoCan'];
export type Work = S['Work'];
