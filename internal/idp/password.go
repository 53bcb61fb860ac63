package idp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/sallyport/sallyport/internal/errkind"
)

// argon2id costs, as OWASP recommends for a server: 19 MiB, two passes.
const (
	argonTime   = 2
	argonMemory = 19 << 10 // KiB
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
)

// maxPassword bounds what an attacker can make us hash; minPassword is that of NIST 800-63B for passwords alone.
const (
	minPassword = 12
	maxPassword = 1024
)

// hashing bounds how many hashes are computed at once, so that a flood of guesses costs waiting and not memory. signingIn
// bounds how many sign-ins wait for one, so that the wait is short for whom it is not refused.
var (
	hashing   = make(chan struct{}, 4)
	signingIn = make(chan struct{}, 64)
)

// enter takes a place among those who sign in, if there is one; leave gives it back.
func enter() (leave func(), ok bool) {
	select {
	case signingIn <- struct{}{}:
		return func() { <-signingIn }, true
	default:
		return nil, false
	}
}

func argon(password string, salt []byte, time, memory uint32, lanes uint8, size uint32) []byte {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, size)
}

// hashPassword gives the usual text form: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func hashPassword(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key := argon(password, salt, argonTime, argonMemory, argonLanes, argonKey)
	b := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b(salt), b(key))
}

// samePassword compares. A hash that cannot be read is nobody's.
func samePassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	var memory, time uint32
	var lanes uint8
	if len(parts) != 6 || parts[1] != "argon2id" || len(password) > maxPassword {
		return false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &lanes); err != nil || memory > 1<<20 || time == 0 || time > 64 || lanes == 0 {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) < 16 {
		return false
	}
	return subtle.ConstantTimeCompare(argon(password, salt, time, memory, lanes, uint32(len(want))), want) == 1
}

// nobody is compared with when there is no such user, so that the answer takes as long.
var nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func checkPassword(password string) error {
	if n := utf8.RuneCountInString(password); n < minPassword || len(password) > maxPassword {
		return errkind.New(errkind.Usage, fmt.Sprintf("this password has %d characters; %d to %d are wanted", n, minPassword, maxPassword)).
			WithHint("Several words in a row are easy to remember. A password manager makes a good one.")
	}
	return nil
}
