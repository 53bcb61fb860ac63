package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerPolicy() {
	handle(a, huma.Operation{OperationID: "get-policy", Method: http.MethodGet, Path: "/api/v1/policy", Tags: []string{"policy"},
		Summary: "The policy in force", Description: "Its number and hash for everybody; its files and its words with the duty administer or review."}, a.getPolicy)
	handle(a, huma.Operation{OperationID: "list-policy-versions", Method: http.MethodGet, Path: "/api/v1/policy/versions", Tags: []string{"policy"},
		Summary: "Every version, newest first, without files", Description: "Needs the duty administer or review."}, a.listVersions)
	handle(a, huma.Operation{OperationID: "get-policy-version", Method: http.MethodGet, Path: "/api/v1/policy/versions/{version}", Tags: []string{"policy"},
		Summary: "One version, with its files and words", Description: "Needs the duty administer or review."}, a.getVersion)
	handle(a, huma.Operation{OperationID: "get-policy-matrix", Method: http.MethodGet, Path: "/api/v1/policy/matrix", Tags: []string{"policy"},
		Summary: "What every group and machine has of every role, by class of devices", Description: "Needs the duty administer or review."}, a.getMatrix)
	handle(a, huma.Operation{OperationID: "apply-policy", Method: http.MethodPost, Path: "/api/v1/policy/apply", Tags: []string{"policy"}, MaxBodyBytes: 4 << 20,
		Summary: "Store a new version", Description: "Needs the duty administer. It holds from now on; live sessions are decided again. " + maybeProposed}, a.applyPolicy)
	handle(a, huma.Operation{OperationID: "explain", Method: http.MethodGet, Path: "/api/v1/policy/explain", Tags: []string{"policy"},
		Summary: "Whether a person may do this, and if not, the nearest way to get access", Description: "For oneself; for others with the duty administer or review."}, a.explain)
	handle(a, huma.Operation{OperationID: "who-can", Method: http.MethodGet, Path: "/api/v1/policy/who-can", Tags: []string{"policy"},
		Summary: "Who can do what on a device", Description: "With the duty administer or review, and for owners of the device."}, a.whoCan)
}

func (a *API) getPolicy(_ context.Context, who *Asker, _ *struct{}) (*answer[apitype.Policy], error) {
	v := a.cfg.Rules.Version()
	if v.Version == 0 {
		return nil, errkind.New(errkind.NotFound, "there is no policy yet, so nobody may do anything").WithHint("`sallyport policy apply FILE` stores one.")
	}
	return body(shownPolicy(v, who.any(authz.DutyAdminister, authz.DutyReview)))
}

func shownPolicy(v signer.Policy, whole bool) apitype.Policy {
	out := apitype.Policy{Version: int(v.Version), SHA256: hex(v.SHA256), By: v.By, Reason: v.Reason, At: v.At.UTC(),
		ProposedBy: v.ProposedBy, Unconfirmed: v.Unconfirmed}
	if !whole {
		return out
	}
	for _, f := range v.Files {
		out.Files = append(out.Files, apitype.PolicyFile{Name: f.Name, Text: f.Text})
	}
	out.Words = words(signer.LoadStoredPolicy(v.Files))
	return out
}

func (a *API) applyPolicy(ctx context.Context, who *Asker, in *struct{ Body apitype.PolicyApply }) (*answer[apitype.Policy], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	files := make([]signer.PolicyFile, len(in.Body.Files))
	for i, f := range in.Body.Files {
		files[i] = signer.PolicyFile{Name: f.Name, Text: f.Text}
	}
	ctx = context.WithoutCancel(ctx) // once the signer has it, the rest follows whoever hangs up
	v, err := a.putPolicy(ctx, who, files, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return body(shownPolicy(v, true))
}

// putPolicy has the signer store a version, and puts it into force here.
func (a *API) putPolicy(ctx context.Context, who *Asker, files []signer.PolicyFile, reason string) (signer.Policy, error) {
	a.keepVersion(ctx, a.cfg.Rules.Version())
	v, err := a.cfg.Signer.ApplyPolicy(ctx, who.Evidence, files, reason)
	if err != nil {
		return v, a.waits(ctx, who, err)
	}
	// The signer's copy counts from here. What fails now is told, and must not leave the gateway with the old rules.
	if err := a.cfg.Rules.Load(ctx, a.cfg.Signer); err != nil {
		return v, fmt.Errorf("policy %d is stored; loading it: %w", v.Version, err)
	}
	a.cfg.Broker.Revalidate(ctx)
	a.keepVersion(ctx, v)
	if err := a.cfg.Audit.Index(ctx, v.Leaf, "policy", who.Person.ID.String(), fmt.Sprint(v.Version)); err != nil {
		return v, fmt.Errorf("policy %d is in force; %w", v.Version, err)
	}
	return v, nil
}

type explainQuery struct {
	User   string `query:"user" maxLength:"200" doc:"a name or a word of it, a user name, an address of mail or a subject; empty: oneself"`
	Device string `query:"device" required:"true" maxLength:"63"`
	Action string `query:"action" required:"true" maxLength:"500" doc:"an action word: shell:root; shell alone means the only login there is for this person"`
	Ticket string `query:"ticket" maxLength:"500"`
}

func (a *API) explain(ctx context.Context, who *Asker, in *explainQuery) (*answer[apitype.Explanation], error) {
	action, err := authz.ParseAction(in.Action)
	if err != nil && in.Action != anyShell {
		return nil, errkind.New(errkind.Usage, err.Error()).WithHint("Write it as the policy does, such as shell:root or files.read:/var/log.")
	}
	person, err := a.person(ctx, who, in.User)
	if err != nil {
		return nil, err
	}
	snap, now := a.cfg.Rules.Snapshot(), a.cfg.Now()
	dev, err := a.cfg.Store.Device(ctx, id.Device(in.Device))
	switch kind := errkind.KindOf(err); {
	case kind == errkind.NotFound, err == nil && !snap.Visible(person, asked(dev), now):
		e := authz.Invisible(id.Device(in.Device))
		return body(apitype.Explanation{Text: e.Text, Nearest: e.Nearest})
	case err != nil:
		return nil, err
	}
	if in.Action == anyShell {
		if action, err = onlyShell(snap, person, asked(dev), now); err != nil {
			return nil, err
		}
	}
	ask := authz.Request{Person: person, Device: asked(dev), Action: action, LiveSessions: a.cfg.Broker.LiveOn(dev.Name), Ticket: in.Ticket}
	d := authz.Decide(snap, ask, now)
	if action.Kind == authz.Run && !d.Allowed { // a session takes the login's shell for a command that no role lists
		program := authz.Program{Login: action.Arg, Argv: action.Argv}
		if _, by := authz.DecideProgram(snap, ask, program, now); by.Allowed {
			d = by
		}
	}
	e, unknown := d.Explain(), []string(nil)
	if person.ID != who.Person.ID || person.Machine != who.Person.Machine {
		e, unknown = d.ExplainOf(or(person.Name, person.ID.Subject))
	}
	return body(apitype.Explanation{Allowed: d.Allowed, Text: e.Text, Nearest: e.Nearest, Rule: d.Rule, CanAsk: ways(e.CanAsk), Unknown: unknown})
}

// anyShell asks for a shell as the only login that there is for somebody, as a session does that names none.
const anyShell = "shell"

func onlyShell(snap *authz.Snapshot, who authz.Person, d authz.Device, now time.Time) (authz.Action, error) {
	switch logins := snap.Reach(who, d, now).Logins(authz.Program{}); len(logins) {
	case 0:
		return authz.Action{}, errkind.New(errkind.Denied, fmt.Sprintf("no rule gives %s a shell on %s, as any login", or(who.Name, who.ID.Subject), d.Name)).
			WithHint("Ask for one login, such as shell:root, to read what is missing.")
	case 1:
		return authz.Action{Kind: authz.Shell, Arg: logins[0]}, nil
	default:
		return authz.Action{}, errkind.New(errkind.Usage, fmt.Sprintf("there is more than one login on %s: %s", d.Name, strings.Join(logins, ", "))).
			WithHint("Say which, such as shell:" + logins[0] + ".")
	}
}

// person gives whom a question is about. Others are known as they were when they last signed in.
func (a *API) person(ctx context.Context, who *Asker, name string) (authz.Person, error) {
	if name == "" || name == who.name() || name == who.Person.ID.Subject {
		return who.Person, nil
	}
	if !who.any(authz.DutyAdminister, authz.DutyReview) {
		return authz.Person{}, errkind.New(errkind.Denied, `asking about somebody else needs the duty "administer" or "review"`).
			WithHint("[duties] of the policy names the groups that have it. Name no person to ask about yourself.")
	}
	if machine, ok := strings.CutPrefix(name, "machine:"); ok {
		return authz.Person{Name: name, Machine: machine, ViaToken: true}, nil
	}
	all, err := a.cfg.Store.Principals(ctx)
	if err != nil {
		return authz.Person{}, err
	}
	p, err := meant(all, name)
	if err != nil {
		return authz.Person{}, err
	}
	// When they last proved a second factor and where they sit is not known here; ExplainOf says so.
	return authz.Person{ID: p.ID, Name: p.Name, Groups: p.Groups}, nil
}
