package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerSessions() {
	handle(a, huma.Operation{OperationID: "list-sessions", Method: http.MethodGet, Path: "/api/v1/sessions", Tags: []string{"sessions"},
		Summary: "Sessions, newest first", Description: "Everybody sees their own, owners those on their devices, the duties review, approve and administer see all."}, a.listSessions)
	handle(a, huma.Operation{OperationID: "open-session", Method: http.MethodPost, Path: "/api/v1/sessions", Tags: []string{"sessions"}, Middlewares: huma.Middlewares{a.asked},
		Summary: "Ask for a session", Description: "The answer's ticket is the first message on the terminal socket: single use, 10 s."}, a.openSession)
	handle(a, huma.Operation{OperationID: "get-session", Method: http.MethodGet, Path: "/api/v1/sessions/{id}", Tags: []string{"sessions"},
		Summary: "One session"}, a.getSession)
	handle(a, huma.Operation{OperationID: "open-channel", Method: http.MethodPost, Path: "/api/v1/sessions/{id}/channels", Tags: []string{"sessions"}, Middlewares: huma.Middlewares{a.asked},
		Summary: "Ask for one more channel in a running session", Description: "By the sign-in or token that opened the session, within its grant. " +
			"The answer's ticket is the first message on another terminal socket."}, a.openChannel)
	handle(a, huma.Operation{OperationID: "end-session", Method: http.MethodPost, Path: "/api/v1/sessions/{id}/end", Tags: []string{"sessions"},
		DefaultStatus: http.StatusNoContent, Summary: "End a session now", Description: "One's own, or with the duty approve or administer."}, a.endSession)
}

// SessionID is the part of an address that names a session. It is exported for huma, which fills embedded fields only then.
type SessionID struct {
	ID string `path:"id" minLength:"1" maxLength:"26" doc:"a session id, a unique beginning of one, or last"`
}

type listSessions struct {
	Mine   bool      `query:"mine" doc:"only one's own"`
	Text   string    `query:"text" maxLength:"200" doc:"part of device, user, login, reason or ticket"`
	Device string    `query:"device" maxLength:"63"`
	Site   string    `query:"site" maxLength:"200" doc:"the customer's place that the device stood at, whole"`
	User   string    `query:"user" maxLength:"200" doc:"a name or the beginning of its words, a user name, an address of mail or a subject; small and large letters are one"`
	State  string    `query:"state" maxLength:"200" doc:"one or more states, with commas between; running for all that have not ended"`
	Record bool      `query:"recorded" doc:"only sessions whose recording was begun"`
	From   time.Time `query:"from" doc:"asked for at or after"`
	To     time.Time `query:"to" doc:"asked for before"`
	Page   int       `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Size   int       `query:"size" minimum:"1" maximum:"500" default:"50"`
}

var (
	states  = []string{store.Asked, store.Decided, store.Announced, store.Dialled, store.Live, store.Held, store.Ended, store.Closed, store.Archived, store.Refused}
	running = []string{store.Asked, store.Decided, store.Announced, store.Dialled, store.Live, store.Held}
)

func (in *listSessions) filter() (store.SessionFilter, error) {
	f := store.SessionFilter{Text: in.Text, Device: id.Device(in.Device), User: in.User, Recorded: in.Record,
		From: in.From, To: in.To, Page: store.Page{Number: in.Page, Size: in.Size}}
	if in.Site != "" {
		f.Sites = []string{in.Site}
	}
	for _, s := range strings.Split(in.State, ",") {
		switch {
		case s == "":
		case s == "running":
			f.States = append(f.States, running...)
		case slices.Contains(states, s):
			f.States = append(f.States, s)
		default:
			return f, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a state of a session", s)).WithHint("The states are running, " + strings.Join(states, ", ") + ".")
		}
	}
	return f, nil
}

func (a *API) listSessions(ctx context.Context, who *Asker, in *listSessions) (*answer[apitype.SessionPage], error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	if f.Sight, err = a.sight(ctx, who); err != nil {
		return nil, err
	}
	if in.User != "" {
		people, err := a.cfg.Store.Principals(ctx)
		if err != nil {
			return nil, err
		}
		f.Users = called(people, in.User)
	}
	if in.Mine {
		f.Principal = who.Person.ID
	}
	if in.Text != "" && f.Sight == nil {
		if err := a.record(ctx, who, "searched", "", map[string]string{"text": in.Text}); err != nil {
			return nil, err
		}
	}
	rows, total, err := a.cfg.Store.Sessions(ctx, f)
	if err != nil {
		return nil, err
	}
	out := apitype.SessionPage{Sessions: make([]apitype.Session, len(rows)), Total: total, Page: in.Page, Size: in.Size}
	for i, s := range rows {
		out.Sessions[i] = shownSession(who, s)
	}
	return body(out)
}

// sight says what sessions somebody sees: nil for all.
func (a *API) sight(ctx context.Context, who *Asker) (*store.Sight, error) {
	if who.any(authz.DutyReview, authz.DutyApprove, authz.DutyAdminister) {
		return nil, nil
	}
	s := who.own()
	if who.has(authz.DutyOwn) {
		var err error
		if s.Sites, err = a.cfg.Store.SitesOwnedBy(ctx, who.Person.ID); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// sees applies what sight says to one session.
func sees(sight *store.Sight, s store.Session) bool {
	return sight == nil || !s.Principal.IsZero() && s.Principal == sight.Principal && (sight.Token == "" || s.ViaToken == sight.Token) || s.Site != "" && slices.Contains(sight.Sites, s.Site)
}

// find gives the session a caller means, if they may see it. Absent and invisible read the same.
func (a *API) find(ctx context.Context, who *Asker, name string) (store.Session, error) {
	sight, err := a.sight(ctx, who)
	if err != nil {
		return store.Session{}, err
	}
	if name == "last" {
		rows, _, err := a.cfg.Store.Sessions(ctx, store.SessionFilter{Sight: sight, Page: store.Page{Number: 1, Size: 1}})
		if err == nil && len(rows) == 0 {
			err = unseen("no session is visible to you yet")
		}
		if err != nil {
			return store.Session{}, err
		}
		return a.cfg.Store.Session(ctx, rows[0].ID) // whole
	}
	s, err := a.cfg.Store.SessionByPrefix(ctx, name)
	switch kind := errkind.KindOf(err); {
	case err == nil && sees(sight, s):
		return s, nil
	case err == nil, kind == errkind.NotFound, kind == errkind.Usage && sight != nil:
		return store.Session{}, unseen(fmt.Sprintf("no single session that begins with %q is visible to you", name))
	}
	return store.Session{}, err
}

func unseen(text string) error {
	return errkind.New(errkind.NotFound, text).WithHint("`sallyport sessions list` shows those you can see.")
}

func (a *API) openSession(ctx context.Context, who *Asker, in *struct{ Body apitype.SessionNew }) (*answer[apitype.SessionTicket], error) {
	if err := who.mayOpen(); err != nil {
		return nil, err
	}
	ask := gateway.Ask{Evidence: who.Evidence, Person: who.Person, SignedInAt: who.SignedInAt, Key: who.Key, Device: id.Device(in.Body.Device), Login: in.Body.Login,
		Start: start(&in.Body.Program), Purpose: in.Body.Purpose, Ticket: in.Body.Ticket, Front: front(who, in.Body.Front),
		ClientAddr: who.Person.Address, ViaToken: who.Token}
	s, err := a.cfg.Broker.Ask(ctx, ask)
	if err != nil {
		return nil, a.refused(ctx, who, in.Body, err)
	}
	a.cfg.Desk.Used(ctx, s.ID, s.Grant)
	ticket, err := a.cfg.Tickets.Issue(who.Key, s.ID, 1)
	if err != nil {
		return nil, err
	}
	return body(apitype.SessionTicket{Session: s.ID, Ticket: ticket, Socket: apitype.TerminalPath, Login: s.Login, Rule: s.Rule, Until: when(s.Until), Notice: list(a.cfg.Site.Notice)})
}

// openChannel asks for one more program in a session that the same sign-in or token has opened.
func (a *API) openChannel(ctx context.Context, who *Asker, in *struct {
	SessionID
	Body apitype.Program
}) (*answer[apitype.ChannelTicket], error) {
	if err := who.mayOpen(); err != nil {
		return nil, err
	}
	s, err := a.find(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	n, err := a.cfg.Broker.AskChannel(ctx, gateway.ChannelAsk{Session: s.ID, Person: who.Person, Key: who.Key, Start: start(&in.Body)})
	if err != nil {
		return nil, err
	}
	ticket, err := a.cfg.Tickets.Issue(who.Key, s.ID, n)
	if err != nil {
		return nil, err
	}
	return body(apitype.ChannelTicket{Session: s.ID, Channel: n, Ticket: ticket, Socket: apitype.TerminalPath})
}

// start is what a channel is to start.
func start(p *apitype.Program) sessionline.Start {
	s := sessionline.Start{Argv: p.Argv, Env: environment(p)}
	if p.PTY {
		s.PTY = &sessionline.PTY{Term: p.Term, Cols: orInt(p.Cols, 80), Rows: orInt(p.Rows, 24)}
	}
	return s
}

// environment gives the variables that are asked for, in an order that does not change from one time to the next.
func environment(p *apitype.Program) (env []wire.Variable) {
	if p.Lang != "" {
		env = append(env, wire.Variable{Name: "LANG", Value: p.Lang})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Locale)) {
		env = append(env, wire.Variable{Name: name, Value: p.Locale[name]})
	}
	return env
}

func front(who *Asker, said string) string {
	switch {
	case said != "":
		return said
	case who.Via == ViaWeb:
		return "browser"
	}
	return "cli"
}

// refused adds the ways in that a refusal of the policy names.
func (a *API) refused(ctx context.Context, who *Asker, in apitype.SessionNew, err error) error {
	if errkind.KindOf(err) != errkind.Denied {
		return err
	}
	dev, derr := a.cfg.Store.Device(ctx, id.Device(in.Device))
	if derr != nil {
		return err
	}
	snap, now := a.cfg.Rules.Snapshot(), a.cfg.Now()
	q := authz.Request{Person: who.Person, Device: asked(dev), Ticket: in.Ticket}
	program := authz.Program{Login: in.Login, Argv: in.Argv, Terminal: in.PTY}
	if program.Login == "" {
		if program.Login = onlyLogin(snap, q, program, now); program.Login == "" {
			return err
		}
	}
	_, d := authz.DecideProgram(snap, q, program, now)
	p := a.fail(err).(*Problem)
	if !d.Allowed {
		p.CanAsk, p.StepUp = ways(d.Explain().CanAsk), d.SignInHelps()
	}
	return p
}

// onlyLogin gives the one login that the caller could use with a second factor of now; empty if there is none, or several.
func onlyLogin(snap *authz.Snapshot, q authz.Request, p authz.Program, now time.Time) string {
	q.Person.SecondFactorAt = now
	reach := snap.Reach(q.Person, q.Device, now)
	if all := reach.Logins(p); len(all) == 1 {
		return all[0]
	}
	return ""
}

func (a *API) getSession(ctx context.Context, who *Asker, in *SessionID) (*answer[apitype.SessionDetail], error) {
	s, err := a.find(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	parts, err := a.cfg.Store.Parts(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	inOrder(parts)
	out := apitype.SessionDetail{Session: shownSession(who, s), Parts: make([]apitype.Part, len(parts)), PolicySHA: hex(s.PolicySHA)}
	for i, p := range parts {
		out.Parts[i] = apitype.Part{Part: p.Part, File: placeOf(p), Bytes: p.Bytes, Started: p.Started,
			Ended: when(p.Ended), State: p.State, Open: p.OpenLeaf, Close: p.CloseLeaf}
	}
	if out.Decision, out.MoreChannels, err = a.decisionsOn(ctx, s); err != nil {
		return nil, err
	}
	if out.Survivors, err = a.survivorsOf(ctx, s); err != nil {
		return nil, err
	}
	out.Differs, out.NotCompared = a.compared(ctx, s, parts)
	replay, err := a.mayReplay(ctx, who, s)
	if err != nil {
		return nil, err
	}
	out.Rights = apitype.PageRights{End: slices.Contains(running, s.State) && mayEnd(who, s), Replay: replay, Export: who.has(authz.DutyExport)}
	return body(out)
}

// compareTime bounds how long a session's page waits for the log. While the signer is silent, the page is shown without
// the comparison.
const compareTime = 2 * time.Second

// compared returns where the database differs from the evidence, or why it was not compared.
func (a *API) compared(ctx context.Context, s store.Session, parts []store.Part) (differs []string, not string) {
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	differs, err := a.cfg.Records.Differences(ctx, s, parts)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		not = "the log did not answer within 2 s"
	default:
		not, _, _ = errkind.ForPeople(err)
	}
	return differs, not
}

// mostSurvivors is how many reports on survivors a session's page shows. A device sends one or two for each session.
const mostSurvivors = 20

// survivorsOf returns the device's reports on processes that outlived the session, oldest first.
func (a *API) survivorsOf(ctx context.Context, s store.Session) ([]string, error) {
	rows, err := a.cfg.Store.AuditEvents(ctx, store.AuditFilter{Type: "survivors", Subject: s.ID.String(), Limit: mostSurvivors})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range slices.Backward(rows) {
		if b, err := ledger.ParseEventBody(e.Body); err == nil {
			out = append(out, b.Fields["device_says"])
		}
	}
	return out, nil
}

// placeOf gives the path of a part's container, as docs/recording-format.md defines it.
func placeOf(p store.Part) string {
	return filepath.ToSlash(format.Place(p.Session, p.Part, p.Started))
}

// decisionsAtOnce is how many decisions the database gives at once.
const decisionsAtOnce = 1000

// decisionsOn gives why a session was allowed or refused, and how many channels were allowed in it afterwards.
func (a *API) decisionsOn(ctx context.Context, s store.Session) (why string, more int, err error) {
	f := store.DecisionFilter{Principal: s.Principal, Session: s.ID, Limit: decisionsAtOnce}
	var own store.Decision // the first one; they come newest first
	for {
		rows, err := a.cfg.Store.Decisions(ctx, f)
		if err != nil {
			return "", 0, err
		}
		for _, d := range rows {
			if own = d; d.Allowed {
				more++
			}
		}
		if len(rows) < decisionsAtOnce {
			break
		}
		f.Before = own.ID
	}
	if own.Allowed {
		more--
	}
	return own.Text, more, nil
}

func mayEnd(who *Asker, s store.Session) bool {
	return who.opened(s) && who.mayOpen() == nil || who.any(authz.DutyApprove, authz.DutyAdminister)
}

func (a *API) endSession(ctx context.Context, who *Asker, in *struct {
	SessionID
	Body apitype.Reason
}) (*nothing, error) {
	s, err := a.find(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	if !mayEnd(who, s) {
		return nil, errkind.New(errkind.Denied, "you may not end this session").WithHint("Its technician can, and whoever has the duty approve or administer.")
	}
	if err := a.cfg.Broker.End(ctx, s.ID, who.name(), in.Body.Reason); err != nil {
		return nil, err
	}
	// After the act, because what takes away does not wait. The record knows a name alone, and two people may have one.
	e := event(who, "ended", s.ID.String(), map[string]string{"why": in.Body.Reason})
	e.Phase = audit.Done
	return nil, a.cfg.Audit.Record(context.WithoutCancel(ctx), e)
}

// record writes an event of the log before what it is about happens.
func (a *API) record(ctx context.Context, who *Asker, typ, subject string, fields map[string]string) error {
	return a.cfg.Audit.Record(ctx, event(who, typ, subject, fields))
}

func event(who *Asker, typ, subject string, fields map[string]string) audit.Event {
	if fields == nil {
		fields = map[string]string{}
	}
	if who.Via == ViaToken {
		fields["via"] = "token " + who.Token
	}
	if who.Person.Machine != "" {
		fields["machine"] = who.Person.Machine
	}
	return audit.Event{Type: typ, Phase: audit.Begun, Actor: who.Person.ID.String(), Subject: subject, Addr: who.address(), Fields: fields}
}
