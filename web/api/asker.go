package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// Ways in which somebody shows who they are.
const (
	ViaWeb   = "web"
	ViaCLI   = "cli"
	ViaToken = "token"
)

// ScopeSession lets an API token open sessions. The other scopes are duties.
const ScopeSession = "session"

// Asker is who calls, as web/login found out.
type Asker struct {
	Person     authz.Person
	Evidence   signer.Evidence
	Key        string // names the sign-in or token
	Via        string
	Provider   string
	Token      string // id of the API token
	Scopes     []string
	SignedInAt time.Time
	Expires    time.Time
	NoRefresh  bool // the provider cannot be asked again about this sign-in

	policy *authz.Policy
}

// has reports whether the caller has a duty. Export belongs to review and is apart for tokens only. A machine has none:
// it is never a member of its maker's groups.
func (who *Asker) has(d authz.Duty) bool {
	of := d
	if d == authz.DutyExport {
		of = authz.DutyReview
	}
	if who.policy == nil || who.Person.Machine != "" || !slices.Contains(who.policy.Duties(who.Person.Groups), of) {
		return false
	}
	return who.Via != ViaToken || who.policy.ByToken(d) && slices.Contains(who.Scopes, string(d))
}

func (who *Asker) any(ds ...authz.Duty) bool { return slices.ContainsFunc(ds, who.has) }

// needs refuses somebody without a duty, and says whether it is the person or the token that lacks it.
func (who *Asker) needs(d authz.Duty) error {
	if who.has(d) {
		return nil
	}
	of := d
	if d == authz.DutyExport {
		of = authz.DutyReview
	}
	if who.Via == ViaToken && who.Person.Machine == "" && who.policy != nil && slices.Contains(who.policy.Duties(who.Person.Groups), of) {
		if d == authz.DutyUnseal {
			return errkind.New(errkind.Denied, "no API token unseals what was typed at hidden prompts").WithHint("Sign in yourself with `sallyport login`: no setting gives this to a token.")
		}
		if !who.policy.ByToken(d) {
			return errkind.New(errkind.Denied, fmt.Sprintf("the policy lets no API token use the duty %q", d)).WithHint("Sign in yourself, or see by_token in the policy.")
		}
		return errkind.New(errkind.Denied, fmt.Sprintf("this API token lacks the scope %q", d)).WithHint("`sallyport token create --scope " + string(d) + "` makes one that has.")
	}
	return errkind.New(errkind.Denied, fmt.Sprintf("this needs the duty %q", of)).WithHint("Ask a member of a group that has it. [duties] of the policy names these groups.")
}

// mayOpen refuses a token that was not made to open sessions.
func (who *Asker) mayOpen() error {
	if who.Via == ViaToken && !slices.Contains(who.Scopes, ScopeSession) {
		return errkind.New(errkind.Denied, "this API token lacks the scope \"session\"").WithHint("`sallyport token create --scope session` makes one that has.")
	}
	return nil
}

func (who *Asker) is(p id.Principal) bool { return !p.IsZero() && who.Person.ID == p }

// opened reports whether a session is the caller's own. A machine's are those of its own token: its principal is whoever made
// that, whose work is none of a machine's business.
func (who *Asker) opened(s store.Session) bool { return sees(who.own(), s) }

func (who *Asker) own() *store.Sight {
	s := &store.Sight{Principal: who.Person.ID}
	if who.Person.Machine != "" {
		s.Token = who.Token
	}
	return s
}

// holds reports whether an API token is the caller's own; a machine has the one it shows.
func (who *Asker) holds(t store.APIToken) bool {
	return who.is(t.Principal) && (who.Person.Machine == "" || who.Token == t.ID)
}

// being names the person, whatever they show, or the machine.
func (who *Asker) being() string {
	if who.Person.Machine != "" {
		return authz.MachineName(who.Person.Machine)
	}
	return who.Person.ID.String()
}

func (who *Asker) actor() enroll.Actor {
	return enroll.Actor{Name: who.name(), ID: who.Person.ID.String()}
}

func (who *Asker) name() string {
	if who.Person.Name != "" {
		return who.Person.Name
	}
	return who.Person.ID.Subject
}

func (who *Asker) address() string {
	if !who.Person.Address.IsValid() {
		return ""
	}
	return who.Person.Address.String()
}
