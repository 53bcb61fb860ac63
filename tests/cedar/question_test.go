package cedar

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

// question is one question, for both.
type question struct {
	Who      string // account
	Groups   []string
	Machine  string
	Token    bool
	Factor   time.Time
	Address  string
	Device   string
	Site     string
	Labels   map[string]string
	Kind     string
	Arg      string
	Argv     []string
	Live     int
	Attended bool
	Ticket   string
	Opened   time.Time
	At       time.Time
}

// account reads an account's name: a subject, and after an @ which of the providers knows it.
func account(name string) id.Principal {
	subject, provider, _ := strings.Cut(name, "@")
	return id.Principal{Issuer: "https://login.example" + provider, Subject: subject}
}

// asks is the question as authz takes it.
func (q question) asks(t testing.TB) authz.Request {
	t.Helper()
	who := authz.Person{ID: account(q.Who), Groups: q.Groups, Machine: q.Machine, ViaToken: q.Token, SecondFactorAt: q.Factor}
	if q.Address != "" {
		who.Address = netip.MustParseAddr(q.Address)
	}
	return authz.Request{Person: who, Device: authz.Device{Name: id.Device(q.Device), Site: q.Site, Labels: q.Labels}, Action: q.action(t),
		LiveSessions: q.Live, Attended: q.Attended, Ticket: q.Ticket, Opened: q.Opened}
}

func (q question) action(t testing.TB) authz.Action {
	t.Helper()
	if q.Kind == "run" {
		return authz.RunAction(q.Arg, q.Argv)
	}
	a, err := authz.ParseAction(strings.TrimSuffix(q.Kind+":"+q.Arg, ":"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// request is the question as Cedar takes it, with the entities that it speaks of.
func (q question) request(t testing.TB) (cedar.EntityMap, cedar.Request) {
	t.Helper()
	who, dev := cedar.NewEntityUID("Principal", cedar.String(q.Who)), cedar.NewEntityUID("Device", cedar.String(q.Device))
	entities := cedar.EntityMap{who: q.principal(who), dev: q.device(dev)}
	return entities, cedar.Request{Principal: who, Action: cedar.NewEntityUID("Action", cedar.String(q.Kind)), Resource: dev, Context: q.context(t)}
}

func (q question) principal(uid cedar.EntityUID) cedar.Entity {
	var in []cedar.EntityUID
	for _, g := range q.Groups {
		in = append(in, cedar.NewEntityUID("Group", cedar.String(g)))
	}
	attributes := cedar.RecordMap{}
	if q.Machine != "" {
		attributes["machine"] = cedar.String(q.Machine)
	}
	return cedar.Entity{UID: uid, Parents: cedar.NewEntityUIDSet(in...), Attributes: cedar.NewRecord(attributes)}
}

// device carries its labels as tags, the site among them, and the names of its own labels.
func (q question) device(uid cedar.EntityUID) cedar.Entity {
	tags, own := cedar.RecordMap{}, []cedar.Value{}
	for name, value := range q.Labels {
		tags[cedar.String(name)] = cedar.String(value)
		own = append(own, cedar.String(name))
	}
	if q.Site != "" {
		tags["site"] = cedar.String(q.Site)
	}
	return cedar.Entity{UID: uid, Tags: cedar.NewRecord(tags), Attributes: cedar.NewRecord(cedar.RecordMap{"labels": cedar.NewSet(own...)})}
}

func (q question) context(t testing.TB) cedar.Record {
	t.Helper()
	out := cedar.RecordMap{"now": cedar.NewDatetime(q.At), "began": cedar.NewDatetime(q.At), "arg": cedar.String(q.Arg), "words": cedar.Long(len(q.Argv)), "argv": told(q.Argv),
		"live": cedar.Long(q.Live), "attended": cedar.Boolean(q.Attended), "ticket": cedar.String(q.Ticket)}
	if !q.Opened.IsZero() {
		out["began"] = cedar.NewDatetime(q.Opened)
	}
	if !q.Factor.IsZero() && !q.Token && q.Machine == "" { // neither a token nor a machine can prove one
		out["factor"] = cedar.NewDatetime(q.Factor)
	}
	if q.Address != "" {
		a := netip.MustParseAddr(q.Address).Unmap()
		out["address"] = cedar.IPAddr(netip.PrefixFrom(a, a.BitLen()))
	}
	return cedar.NewRecord(out)
}

func (q question) String() string {
	what := q.Kind + ":" + q.Arg
	if q.Kind == "run" {
		what = fmt.Sprintf("run %q as %s", q.Argv, q.Arg)
	}
	when := func(at time.Time) string {
		if at.IsZero() {
			return "never"
		}
		return at.UTC().Format("Mon 2006-01-02T15:04:05.000Z")
	}
	return fmt.Sprintf("%s in %q, machine %q, token %v, second factor %s, from %q\nasks for %s on %s, site %q, labels %q, %d live, attended %v, ticket %q\nat %s, session opened %s",
		q.Who, q.Groups, q.Machine, q.Token, when(q.Factor), q.Address, what, q.Device, q.Site, q.Labels, q.Live, q.Attended, q.Ticket, when(q.At), when(q.Opened))
}
