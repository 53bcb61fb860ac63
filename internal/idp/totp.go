package idp

import (
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/sallyport/sallyport/internal/errkind"
)

const totpStep = 30 // seconds

// EnrolTOTP gives somebody a second factor and the otpauth:// address that an authenticator reads. An old one stops to
// count, and so do sign-ins made before.
func (s *Users) EnrolTOTP(name, site string, now time.Time) (address string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: site, AccountName: name})
	if err != nil {
		return "", fmt.Errorf("second factor: %w", err)
	}
	err = s.Change(name, func(u *User) error {
		u.TOTP, u.TOTPUsed, u.Since = key.Secret(), 0, now.UTC()
		return nil
	})
	return key.URL(), err
}

// DropTOTP takes somebody's second factor away.
func (s *Users) DropTOTP(name string, now time.Time) error {
	return s.Change(name, func(u *User) error {
		u.TOTP, u.TOTPUsed, u.Since = "", 0, now.UTC()
		return nil
	})
}

// useTOTP checks a code of now or a step beside it, and uses it up: an onlooker's copy comes too late.
func (s *Users) useTOTP(name, code string, now time.Time) error {
	return s.Change(name, func(u *User) error {
		at := now.Unix() / totpStep
		for step := at - 1; step <= at+1; step++ {
			want, err := totp.GenerateCode(u.TOTP, time.Unix(step*totpStep, 0))
			if err != nil {
				return fmt.Errorf("second factor of %s: %w", name, err)
			}
			if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > u.TOTPUsed {
				u.TOTPUsed = step
				return nil
			}
		}
		return errkind.New(errkind.Signin, "this code is wrong, or it was used already").WithHint("Type what the authenticator shows now; it changes every 30 s.")
	})
}
