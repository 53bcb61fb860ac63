package signer

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// maxCall bounds a request and an answer on the socket.
const maxCall = 4 << 20

type call func(ctx context.Context, raw []byte) (any, error)

// method adapts one typed call.
func method[In, Out any](f func(context.Context, In) (Out, error)) call {
	return func(ctx context.Context, raw []byte) (any, error) {
		var in In
		if err := wire.StrictJSON(raw, &in); err != nil {
			return nil, errkind.New(errkind.Usage, err.Error())
		}
		return f(ctx, in)
	}
}

type (
	statusCall struct {
		Device wire.Hash `json:"device"`
		Nonce  []byte    `json:"nonce"`
	}
	spanCall struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	deviceCall struct {
		By     Evidence `json:"by"`
		Device Device   `json:"device"`
	}
	restrictCall struct {
		Device wire.Hash `json:"device"`
		State  string    `json:"state"`
		Why    string    `json:"why"`
	}
	policyCall struct {
		By     Evidence     `json:"by"`
		Files  []PolicyFile `json:"files"`
		Reason string       `json:"reason"`
	}
	tokenCall struct {
		By    Evidence `json:"by"`
		Token Token    `json:"token"`
	}
	revokeCall struct {
		ID  string `json:"id"`
		Why string `json:"why"`
	}
	approveCall struct {
		By    Evidence `json:"by"`
		Terms []byte   `json:"terms"`
	}
	siteCall struct {
		By   Evidence `json:"by"`
		Site Site     `json:"site"`
	}
	mappingsCall struct {
		By    Evidence  `json:"by"`
		Added []Mapping `json:"added"`
	}
	none struct{}
)

// calls is the whole interface of the socket.
func calls(s Signer) map[string]call {
	return map[string]call{
		"open":   method(s.Open),
		"renew":  method(s.Renew),
		"append": method(s.Append),
		"status": method(func(ctx context.Context, c statusCall) (wire.Signed, error) { return s.Status(ctx, c.Device, c.Nonce) }),
		"bundle": method(func(ctx context.Context, _ none) (wire.Signed, error) { return s.Bundle(ctx) }),
		"head":   method(func(ctx context.Context, _ none) ([]byte, error) { return s.Head(ctx) }),
		"prove":  method(func(ctx context.Context, c spanCall) ([]wire.Hash, error) { return s.Prove(ctx, c.From, c.To) }),
		"consistency": method(func(ctx context.Context, c spanCall) ([]wire.Hash, error) {
			return s.ProveConsistency(ctx, c.From, c.To)
		}),
		"entries":  method(func(ctx context.Context, from uint64) ([]Entry, error) { return s.Entries(ctx, from) }),
		"unended":  method(func(ctx context.Context, h0 wire.Hash) (*uint64, error) { return s.Unended(ctx, h0) }),
		"entry":    method(func(ctx context.Context, i uint64) (Entry, error) { return s.Entry(ctx, i) }),
		"identify": method(func(ctx context.Context, by Evidence) (none, error) { return none{}, s.Identify(ctx, by) }),
		"device": method(func(ctx context.Context, c deviceCall) (Appended,
			error) {
			return s.PutDevice(ctx, c.By, c.Device)
		}),
		"restrict": method(func(ctx context.Context, c restrictCall) (Appended, error) {
			return s.Restrict(ctx, c.Device, c.State, c.Why)
		}),
		"policy": method(func(ctx context.Context, c policyCall) (Policy, error) {
			return s.ApplyPolicy(ctx, c.By, c.Files, c.Reason)
		}),
		"current-policy": method(func(ctx context.Context, _ none) (Policy, error) { return s.CurrentPolicy(ctx) }),
		"token":          method(func(ctx context.Context, c tokenCall) (Appended, error) { return s.PutToken(ctx, c.By, c.Token) }),
		"revoke-token":   method(func(ctx context.Context, c revokeCall) (Appended, error) { return s.RevokeToken(ctx, c.ID, c.Why) }),
		"approve":        method(func(ctx context.Context, c approveCall) (Approved, error) { return s.Approve(ctx, c.By, c.Terms) }),
		"withdraw": method(func(ctx context.Context, c revokeCall) (Appended, error) {
			return s.WithdrawGrant(ctx, c.ID, c.Why)
		}),
		"grants":    method(func(ctx context.Context, after string) ([]Consent, error) { return s.Grants(ctx, after) }),
		"proposals": method(func(ctx context.Context, _ none) ([]Proposal, error) { return s.Proposals(ctx) }),
		"proposal":  method(func(ctx context.Context, proposal string) (Proposal, error) { return s.Proposal(ctx, proposal) }),
		"drop-proposal": method(func(ctx context.Context, c revokeCall) (Appended, error) {
			return s.DropProposal(ctx, c.ID, c.Why)
		}),
		"map-groups": method(func(ctx context.Context, c mappingsCall) (Appended, error) { return s.MapGroups(ctx, c.By, c.Added) }),
		"mappings":   method(func(ctx context.Context, _ none) ([]Mapping, error) { return s.Mappings(ctx) }),
		"sign-out": method(func(ctx context.Context, token wire.Hash) (none, error) {
			return none{}, s.SignOut(ctx, token)
		}),
		"site":  method(func(ctx context.Context, c siteCall) (Appended, error) { return s.PutSite(ctx, c.By, c.Site) }),
		"sites": method(func(ctx context.Context, _ none) ([]Site, error) { return s.Sites(ctx) }),
		"keys":  method(func(ctx context.Context, _ none) (PublicKeys, error) { return s.Keys(ctx) }),
	}
}

type failure struct {
	Kind errkind.Kind `json:"kind"`
	Text string       `json:"text"`
	Hint string       `json:"hint"`
}

// Handler serves the calls as POST /name with JSON both ways. The socket's mode and owner decide who may call.
func Handler(s Signer) http.Handler {
	table := calls(s)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{name}", func(w http.ResponseWriter, r *http.Request) {
		f, ok := table[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
		if err != nil {
			answerFailure(w, errkind.New(errkind.Usage, "the call cannot be read").Because(err))
			return
		}
		out, err := f(r.Context(), raw)
		if err != nil {
			answerFailure(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out)
	})
	return mux
}

func answerFailure(w http.ResponseWriter, err error) {
	f := failure{Kind: errkind.KindOf(err), Text: err.Error()}
	if e, ok := errkind.Of(err); ok {
		f.Text, f.Hint = e.Text, e.Hint
	}
	w.WriteHeader(f.Kind.HTTP())
	json.NewEncoder(w).Encode(f)
}

var (
	_ Signer = (*Service)(nil)
	_ Signer = (*Client)(nil)
)
