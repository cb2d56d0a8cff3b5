# Parses each message that is named by Perl's Email::MIME. A line of JSON for each: what a reader gets of it, and its
# defects.
use strict;
use warnings FATAL => 'all';
use Email::Address::XS;
use Email::MIME;
use Encode;
use JSON::PP;

my $json = JSON::PP->new->ascii->canonical;
for my $file (@ARGV) {
    my %got = (defects => [], to => [], files => []);
    eval {
        open my $in, '<:raw', $file or die "$file: $!";
        my $message = Email::MIME->new(do { local $/; <$in> });
        $got{subject} = $message->header_str('Subject');
        if (my $ways = $message->header_str('List-Unsubscribe')) {
            $got{unsubscribe} = $ways . ' ' . $message->header_str('List-Unsubscribe-Post');
        }
        for my $to (Email::Address::XS->parse(decode('UTF-8', $message->header_raw('To'), Encode::FB_CROAK))) {
            push @{ $got{defects} }, 'an address is not valid' unless $to->is_valid;
            push @{ $got{to} }, $to->address;
        }
        $message->walk_parts(sub {
            my ($part) = @_;
            return if $part->subparts;
            if (($part->header('Content-Disposition') // '') =~ /^attachment\b/) {
                push @{ $got{files} }, $part->filename;
                push @{ $got{defects} }, 'a file has another content'
                    unless $part->body eq "%PDF-1.7\r\n\x00\xff.\r\n.\r\n";
                return;
            }
            my ($kind) = $part->content_type =~ m{^text/(plain|html)\b} or die 'a part is of another kind';
            $kind = 'text' if $kind eq 'plain';
            push @{ $got{defects} }, "two parts are $kind" if exists $got{$kind};
            $got{$kind} = $part->body_str;
        });
        1;
    } or push @{ $got{defects} }, "$@";
    print $json->encode(\%got), "\n";
}
