package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Headers of the Standard Webhooks specification.
const (
	HeaderID        = "webhook-id"
	HeaderTime      = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	tolerance    = 5 * time.Minute // between the clocks of sender and receiver
	remembered   = 48 * time.Hour  // longer than the gateway retries by itself; an administrator can retry a dead letter for 90 days
)

// Errors of Receiver.Check.
var (
	ErrUnsigned = errors.New("the signature is missing or not of this document")
	ErrOld      = errors.New("the timestamp is more than 5 minutes off")
	ErrRepeated = errors.New("a document with this id was received before")
)

// ParseSecret reads a signing secret: whsec_ and 24 to 64 bytes in base64.
func ParseSecret(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must be whsec_ and 24 to 64 random bytes in base64: " +
			"`echo \"whsec_$(openssl rand -base64 32)\"` prints one")
	}
	return key, nil
}

// Sign gives the value of the signature header: v1 and the HMAC-SHA256 of id, time in seconds and body with dots between.
func Sign(key []byte, notificationID string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", notificationID, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Receiver is the receiving end of a webhook. It refuses a document that was altered, is old, or came before. Its zero
// value, with Key and Now set, is ready. It can be used by several goroutines.
type Receiver struct {
	Key []byte // of ParseSecret
	Now func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]time.Time
}

// Check returns the id of an authentic document that is new. Otherwise the error is ErrUnsigned, ErrOld or ErrRepeated.
// On ErrRepeated answer with a status of success: the sender repeats a document when it did not see the answer.
func (r *Receiver) Check(h http.Header, body []byte) (notificationID string, err error) {
	notificationID = h.Get(HeaderID)
	seconds, err := strconv.ParseInt(h.Get(HeaderTime), 10, 64)
	if err != nil || notificationID == "" {
		return "", ErrUnsigned
	}
	at, authentic := time.Unix(seconds, 0), false
	want := []byte(Sign(r.Key, notificationID, at, body))
	for one := range strings.FieldsSeq(h.Get(HeaderSignature)) { // several while a secret is replaced
		authentic = hmac.Equal([]byte(one), want) || authentic
	}
	if !authentic {
		return "", ErrUnsigned
	}
	now := r.Now()
	if off := now.Sub(at); off > tolerance || off < -tolerance {
		return "", ErrOld
	}
	return notificationID, r.remember(notificationID, now)
}

func (r *Receiver) remember(notificationID string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, at := range r.seen {
		if now.Sub(at) > remembered {
			delete(r.seen, old)
		}
	}
	if _, ok := r.seen[notificationID]; ok {
		return ErrRepeated
	}
	if r.seen == nil {
		r.seen = map[string]time.Time{}
	}
	r.seen[notificationID] = now
	return nil
}
