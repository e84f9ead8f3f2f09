/* wordcount_executor - an executor: counts the words of the files below a directory, a thread a task.
 *
 * The agent starts one of these when the first task of wordcount arrives, and hands it every further one. A task's data is the directory;
 * the answer travels back in the data of its TASK_FINISHED update. "Words" are wc's: what stands between white space
 * and has at least one printable character, in the C locale.
 */
#include <dirent.h>
#include <errno.h>
#include <fairlead/executor.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct job {
    fw_executor *executor;
    char *task_id, *directory;
};

static unsigned long long count_words(const unsigned char *p, ssize_t n, bool *in_word)
{
    unsigned long long words = 0;

    for (ssize_t i = 0; i < n; i++) {
        unsigned char c = p[i];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            words += *in_word;
            *in_word = false;
        } else if (c > ' ' && c < 0x7f) {
            *in_word = true;
        }
    }
    return words;
}

static int count_file(int dir, const char *name, unsigned long long *words)
{
    unsigned char buffer[64 * 1024];
    bool in_word = false;
    ssize_t n;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        *words += count_words(buffer, n, &in_word);
    *words += in_word;
    close(fd);
    return n < 0 ? -EIO : 0;
}

static int count_tree(int parent, const char *name, unsigned long long *words)
{
    int r = 0, fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir)
        return -errno;
    while (r == 0 && (e = readdir(dir))) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            r = -errno;
        else if (S_ISDIR(st.st_mode))
            r = count_tree(fd, e->d_name, words);
        else if (S_ISREG(st.st_mode))
            r = count_file(fd, e->d_name, words);
    }
    closedir(dir);
    return r;
}

static void *work(void *arg)
{
    struct job *j = arg;
    unsigned long long words = 0;
    char text[300];
    int r;

    fw_executor_update(j->executor, j->task_id, FW_TASK_RUNNING, NULL);
    r = count_tree(AT_FDCWD, j->directory, &words);
    if (r < 0) {
        snprintf(text, sizeof(text), "reading '%s': %s", j->directory, strerror(-r));
        fw_executor_update(j->executor, j->task_id, FW_TASK_FAILED, text);
    } else {
        int n = snprintf(text, sizeof(text), "%llu", words);
        fw_executor_update_data(j->executor, j->task_id, FW_TASK_FINISHED, NULL, text, (size_t)n);
    }
    free(j->task_id);
    free(j->directory);
    free(j);
    return NULL;
}

static void on_launch(fw_executor *e, const fw_task *task, void *arg)
{
    struct job *j = calloc(1, sizeof(*j));
    pthread_t thread;
    size_t n;
    const char *data = fw_task_data(task, &n);

    if (!j || !(j->task_id = strdup(fw_task_id(task))) ||
        !(j->directory = strndup(data ? data : "", n)))
        abort();
    j->executor = e;
    if (pthread_create(&thread, NULL, work, j) == 0)
        pthread_detach(thread);
    else
        work(j);
}

static void on_shutdown(fw_executor *e, void *arg)
{
    /* Nothing is worth finishing: what was counted has been reported. */
    fw_executor_stop(e);
}

int main(void)
{
    struct fw_executor_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_launch = on_launch,
        .on_shutdown = on_shutdown,
    };
    fw_executor *e;

    if (fw_executor_new(&callbacks, NULL, &e) < 0) {
        fprintf(stderr, "this is an executor: an agent starts it (see wordcount)\n");
        return 2;
    }
    return fw_executor_run(e) < 0;
}
