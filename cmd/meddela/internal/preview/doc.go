// Package preview renders the templates of a folder with their samples, and
// shows the messages to their author: as files to compare, and on a page that
// needs no network and keeps up with the folder.
package preview
