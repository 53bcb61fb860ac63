package api

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// tellOthers tells the other administrators of a proposal. Their groups are those of their last sign-in.
func (a *API) tellOthers(ctx context.Context, by id.Principal, p signer.Proposal) error {
	all, err := a.cfg.Store.Principals(ctx)
	policy := a.cfg.Rules.Snapshot().Policy
	others := slices.DeleteFunc(all, func(x store.Principal) bool {
		return policy.Same(x.ID, by) || a.cfg.Now().Sub(x.SeenAt) > lately || !slices.Contains(policy.Duties(x.Groups), authz.DutyAdminister)
	})
	a.cfg.Notifications.Proposed(ctx, notifications.Change{Proposal: p.ID, What: changeName(p), By: or(p.Name, p.By.Subject), Reason: p.Reason}, others)
	return err
}

// lately: administrators who were seen within this time are notified. The signer counts them as long.
const lately = 30 * 24 * time.Hour

func changeName(p signer.Proposal) string {
	if p.Subject == "" {
		return p.Kind
	}
	return p.Kind + " of " + p.Subject
}

// waits keeps the searchable row of a proposal if an error says that a change has become one, and gives the error back.
func (a *API) waits(ctx context.Context, who *Asker, err error) error {
	if errkind.KindOf(err) == errkind.Conflict {
		a.announce(ctx, who.Person.ID)
	}
	return err
}

// AnnounceConfigured keeps the rows of what the configuration proposes, and tells the administrators. The gateway calls it when
// it starts, because the signer reads the configuration then.
func (a *API) AnnounceConfigured(ctx context.Context) { a.announce(ctx, id.Principal{}) }

// announce adds the proposals of a person that have no searchable row yet, and tells other administrators of them.
func (a *API) announce(ctx context.Context, by id.Principal) {
	all, err := a.cfg.Signer.Proposals(ctx)
	rows, rerr := a.cfg.Store.AuditEvents(ctx, store.AuditFilter{Type: "proposed", Limit: 1000})
	for _, p := range all {
		known := slices.ContainsFunc(rows, func(e store.AuditEvent) bool { return e.Leaf == p.Leaf })
		if rerr == nil && p.By == by && !known {
			err = errors.Join(err, a.cfg.Audit.Index(ctx, p.Leaf, "proposed", actor(p), or(p.Subject, p.Kind)), a.tellOthers(ctx, by, p))
		}
	}
	if err = errors.Join(err, rerr); err != nil {
		a.cfg.Log.Error("a proposal is in the log and not in the list of events", slog.Any("error", err))
	}
}

// actor names who proposed, as leaves do.
func actor(p signer.Proposal) string {
	if p.By.IsZero() {
		return p.Name
	}
	return p.By.String()
}
