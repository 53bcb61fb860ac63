package sqlite

import (
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// requestsTotal counts the requests that requestIDs selects.
func requestsTotal(ids string) string { return "SELECT count(*) FROM (" + ids + ")" }

// requestsPage reads one page of them. Only ids are sorted, because sorting whole rows takes several times as long.
func requestsPage(ids string) string {
	const newest = " ORDER BY asked DESC, id DESC"
	return "SELECT " + requestColumns + " FROM requests WHERE id IN (SELECT id FROM (" + ids + ")" + newest + " LIMIT ? OFFSET ?)" + newest
}

// requestIDs selects id and time of the requests that a filter admits. For what a person sees it joins two queries, one for
// their own requests and one for those of their sites. An index alone answers each, while an OR of both reads every row.
func requestIDs(f store.RequestFilter) (query string, args []any) {
	if f.Sight == nil {
		w := requestsWhere(f)
		return selectIDs + w.String(), w.args
	}
	own, sites := requestsWhere(f), requestsWhere(f)
	if who := f.Sight.Principal; !who.IsZero() {
		own.add("issuer=? AND sub=?", who.Issuer, who.Subject)
	} else {
		own.add("0")
	}
	in(sites, "site", f.Sight.Sites)
	return selectIDs + own.String() + " UNION " + selectIDs + sites.String(), append(own.args, sites.args...)
}

const selectIDs = "SELECT id, asked FROM requests"

func requestsWhere(f store.RequestFilter) *where {
	w := &where{}
	if f.Who != (id.Principal{}) {
		w.add("issuer=? AND sub=?", f.Who.Issuer, f.Who.Subject)
	}
	if f.Device != "" {
		w.add("device=?", string(f.Device))
	}
	if f.States != nil {
		in(w, "state", f.States)
	}
	if f.Granted {
		w.add("granted_from IS NOT NULL")
	}
	if f.ToReview {
		w.add("review_by IS NOT NULL AND reviewed IS NULL")
	}
	if !f.EndsAfter.IsZero() {
		w.add("granted_until>?", f.EndsAfter.UnixMicro())
	}
	if f.ID != "" { // a range, because LIKE would read every row
		from := strings.ToLower(f.ID)
		w.add("id>=? AND id<?", from, from+string(utf8.MaxRune))
	}
	if f.Answer != nil {
		answerableRequests(w, f.Answer)
	}
	return w
}

// answerableRequests admits what a person can answer. Whom the rules name is decided before; the rows decide the rest.
func answerableRequests(w *where, a *store.Answer) {
	w.add("state='pending'")
	w.add("expires>?", a.At.UnixMicro())
	w.add("NOT (issuer=? AND sub=?)", a.By.Issuer, a.By.Subject)
	var everywhere, ownSite []string
	for _, r := range a.Rules {
		if r.OwnSite {
			ownSite = append(ownSite, r.Rule)
		} else {
			everywhere = append(everywhere, r.Rule)
		}
	}
	rules, sites := &where{}, &where{}
	in(rules, "rule", everywhere)
	in(sites, "rule", ownSite)
	in(sites, "site", a.Sites)
	w.add("("+strings.Join(rules.terms, "")+" OR "+strings.Join(sites.terms, " AND ")+")", append(rules.args, sites.args...)...)
	w.add("NOT EXISTS (SELECT 1 FROM json_each(approvals) WHERE json_extract(value,'$.who.issuer')=? AND json_extract(value,'$.who.sub')=?)",
		a.By.Issuer, a.By.Subject)
}
