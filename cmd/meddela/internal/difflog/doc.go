// Package difflog tells what would become of real events under templates that
// are not published yet, compared with what becomes of them under those that
// are live. It decides and renders as the roles do, and does nothing else.
package difflog
