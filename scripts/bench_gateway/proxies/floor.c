/* Passes bytes between two sockets and looks at none of them: what no proxy can be cheaper than.
 *
 *     floor PORT ENDPOINT_PORT...
 *
 * Every connection gets one to an endpoint, in turn. One thread, epoll, a read and a write for whatever comes. It has no limits, no deadlines and
 * no errors worth the name: it is there to be measured. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILES_MAX = 65536, EVENTS_MAX = 64, BUFFER_BYTES = 65536 };
static int peer_of[FILES_MAX];

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return address;
}

static void watch(int epoll, int file) {
    struct epoll_event event = { .events = EPOLLIN, .data.fd = file };
    epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event);
}

static void pair(int epoll, int client, int port) {
    int one = 1, service = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(port);
    if (client >= FILES_MAX || service < 0 || service >= FILES_MAX || connect(service, (struct sockaddr *)&address, sizeof address)) {
        close(client);
        close(service);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(service, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    peer_of[client] = service;
    peer_of[service] = client;
    watch(epoll, client);
    watch(epoll, service);
}

static int pass(int from, int to) {
    static char buffer[BUFFER_BYTES];
    ssize_t read_bytes = read(from, buffer, sizeof buffer), written = 0;
    while (written < read_bytes) {
        ssize_t now = write(to, buffer + written, read_bytes - written);
        if (now <= 0) return 0;
        written += now;
    }
    return read_bytes > 0;
}

int main(int count, char **words) {
    if (count < 3) return 2;
    int one = 1, next = 0, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = at(atoi(words[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int ready = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            int file = events[i].data.fd;
            if (file == listener) {
                int client = accept(listener, 0, 0);
                if (client >= 0) pair(epoll, client, atoi(words[2 + next++ % (count - 2)]));
            } else if (peer_of[file] && !pass(file, peer_of[file])) {
                int peer = peer_of[file];
                peer_of[file] = peer_of[peer] = 0;
                close(file);
                close(peer);
            }
        }
    }
}
