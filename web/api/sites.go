package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerSites() {
	handle(a, huma.Operation{OperationID: "list-sites", Method: http.MethodGet, Path: "/api/v1/sites", Tags: []string{"sites"},
		Summary: "Sites and their owners", Description: "All with the duty administer or review; otherwise one's own."}, a.listSites)
	handle(a, huma.Operation{OperationID: "change-site-owners", Method: http.MethodPost, Path: "/api/v1/sites/owners", Tags: []string{"sites"},
		Summary: "Add and remove owners of a site", Description: "Needs the duty administer. An owner who has the duty own sees, watches " +
			"and replays the sessions at the site, and approves where a rule names @owner. Nobody adds themself. The change is an event of the log. " + maybeProposed}, a.changeOwners)
}

func (a *API) listSites(ctx context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.Site], error) {
	all, err := a.sites(ctx)
	if err != nil {
		return nil, err
	}
	if !who.any(authz.DutyAdminister, authz.DutyReview) {
		v, err := a.view(ctx, who)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s store.Site) bool { return !slices.Contains(v.sites, s.Name) })
	}
	people, err := a.cfg.Store.Principals(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]apitype.Site, len(all))
	for i, s := range all {
		out[i] = shownSite(s, people)
	}
	return body(out)
}

// sites gives the sites that have owners or devices, by name.
func (a *API) sites(ctx context.Context) ([]store.Site, error) {
	all, err := a.cfg.Store.Sites(ctx)
	if err != nil {
		return nil, err
	}
	devices, err := a.cfg.Store.AllDevices(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if d.Site != "" && !slices.ContainsFunc(all, func(s store.Site) bool { return s.Name == d.Site }) {
			all = append(all, store.Site{Name: d.Site})
		}
	}
	slices.SortFunc(all, func(x, y store.Site) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

func shownSite(s store.Site, people []store.Principal) apitype.Site {
	out := apitype.Site{Name: s.Name, ShownAs: or(s.ShownAs, s.Name), Owners: []apitype.SiteOwner{}}
	for _, o := range s.Owners {
		shown := apitype.SiteOwner{Name: o.Subject, Issuer: o.Issuer, Subject: o.Subject}
		for _, p := range people {
			if p.ID == o {
				shown.Name = or(p.Name, o.Subject)
			}
		}
		out.Owners = append(out.Owners, shown)
	}
	return out
}

// changeOwners stores the change after the signer has checked and logged it, because owners see recordings and approve
// requests.
func (a *API) changeOwners(ctx context.Context, who *Asker, in *struct{ Body apitype.SiteOwners }) (*answer[apitype.Site], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	var site store.Site
	var people []store.Principal
	err := a.cfg.Desk.Alone(ctx, func() (err error) {
		site, people, err = a.siteAndPeople(ctx, in.Body.Site)
		if err == nil {
			site, err = a.withOwners(ctx, who, site, people, in.Body)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return body(shownSite(site, people))
}

// withOwners changes the owners of a site at the signer, and then here.
func (a *API) withOwners(ctx context.Context, who *Asker, site store.Site, people []store.Principal, change apitype.SiteOwners) (store.Site, error) {
	var err error
	if site.Owners, err = a.ownersNow(ctx, site.Name); err != nil {
		return site, err
	}
	if site.Owners, err = newOwners(who, site, people, change); err != nil {
		return site, err
	}
	return a.putOwners(context.WithoutCancel(ctx), who, site) // store what is in the log, even if the caller disconnects
}

// putOwners has the signer replace the owners of a site, and stores them.
func (a *API) putOwners(ctx context.Context, who *Asker, site store.Site) (store.Site, error) {
	leaf, err := a.cfg.Signer.PutSite(ctx, who.Evidence, signer.Site{Name: site.Name, Owners: site.Owners})
	if err != nil {
		return site, a.waits(ctx, who, err)
	}
	if site.Created.IsZero() {
		site.Created = a.cfg.Now()
	}
	site.ShownAs = or(site.ShownAs, site.Name)
	err = a.cfg.Store.PutSite(ctx, site)
	return site, errors.Join(err, a.cfg.Audit.Index(ctx, leaf.Index, "owners", who.Person.ID.String(), site.Name))
}

// ownersNow gives the owners that the signer knows. A row here may be behind it, and a removed owner must not come back.
func (a *API) ownersNow(ctx context.Context, site string) ([]id.Principal, error) {
	all, err := a.cfg.Signer.Sites(ctx)
	i := slices.IndexFunc(all, func(s signer.Site) bool { return s.Name == site })
	if err != nil || i < 0 {
		return nil, err
	}
	return all[i].Owners, nil
}

// newOwners gives the owners of a site after a change.
func newOwners(who *Asker, site store.Site, people []store.Principal, change apitype.SiteOwners) ([]id.Principal, error) {
	out := slices.Clone(site.Owners)
	for _, name := range change.Remove {
		is := func(o id.Principal) bool { return o.Subject == name } // also if the person is not known here any more
		if !slices.ContainsFunc(out, is) {
			p, err := meant(people, name)
			if err != nil {
				return nil, err
			}
			is = func(o id.Principal) bool { return o == p.ID }
		}
		out = slices.DeleteFunc(out, is)
	}
	for _, name := range change.Add {
		p, err := meant(people, name)
		if err != nil {
			return nil, err
		}
		if who.is(p.ID) {
			return nil, errkind.New(errkind.Denied, "you cannot make yourself the owner of a site").
				WithHint("Owners see recordings and approve requests, so another administrator has to add you.")
		}
		if !slices.Contains(out, p.ID) {
			out = append(out, p.ID)
		}
	}
	return out, nil
}

func (a *API) siteAndPeople(ctx context.Context, name string) (store.Site, []store.Principal, error) {
	all, err := a.sites(ctx)
	if err != nil {
		return store.Site{}, nil, err
	}
	i := slices.IndexFunc(all, func(s store.Site) bool { return s.Name == name })
	if i < 0 {
		return store.Site{}, nil, errkind.New(errkind.NotFound, fmt.Sprintf("no device is at the site %q", name)).
			WithHint("`sallyport sites list` shows the sites. A device gets its site from its join code or when it is admitted.")
	}
	people, err := a.cfg.Store.Principals(ctx)
	return all[i], people, err
}

// ownersWho gives who sees the sessions on a device by the duty own: the owners of its site who have the duty.
func (a *API) ownersWho(ctx context.Context, v view, d store.Device, people []store.Principal) ([]apitype.WhoCan, error) {
	site, err := a.cfg.Store.Site(ctx, d.Site)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []apitype.WhoCan
	for _, p := range people {
		if slices.Contains(site.Owners, p.ID) && slices.Contains(v.snap.Policy.Duties(p.Groups), authz.DutyOwn) {
			out = append(out, apitype.WhoCan{User: or(p.Name, p.ID.Subject), Group: v.snap.Policy.DutyGroup(authz.DutyOwn, p.Groups),
				Action: "watch and replay sessions", How: "by the duty own, as owner of the site " + d.Site, Rule: "[duties] own"})
		}
	}
	return out, nil
}
