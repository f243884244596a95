"""KuaiRand-Pure, short-video impressions with clicks, as a qlarank CSV.

Gao et al., CIKM 2022 (doi 10.1145/3511808.3557624), CC BY-SA 4.0. Reads the
four files of a sample in which labelled impressions start on 25 April 2022;
of earlier ones only the order of each user's last 50 videos is known.
"""

import pathlib

import numpy as np

# Days are those of Beijing; statistics never look at this day or later ones.
_ZONE_MS = 8 * 3_600_000
_DAY_MS = 24 * 3_600_000
STATISTICS_END = '2022-05-06'

TASKS = ('is_click', 'long_view', 'is_like')
# A statistic starts as if a video had been shown so often at the mean rate.
_PRIOR_SHOWN = 20

_UPLOADS = {'upload_long': ('LongImport', 'LongCamera'),
            'upload_short': ('ShortImport', 'ShortCamera'),
            'upload_web': ('Web',), 'upload_kmovie': ('Kmovie',),
            'upload_picture': ('LongPicture', 'PictureSet')}
_USER_COLUMNS = {'activity': 'user_active_degree',
                 'registered_days': 'register_days_range',
                 'follows': 'follow_user_num_range',
                 'fans': 'fans_user_num_range',
                 'friends': 'friend_user_num_range'}
_COLUMNS = ('user', 'item', 'action', 'time', 'play_ratio', 'log_play',
            'log_duration', 'log_shown', 'click_logit', 'long_logit',
            'like_logit', 'is_ad', *_UPLOADS, 'tab', 'hour', *_USER_COLUMNS,
            *TASKS)


def convert(folder, out):
    """Writes events.csv; returns {file: lines}.

    Raises ValueError when a file of the sample is missing.
    """
    log = _read(folder, 'log_standard_4_25_to_5_08_sample.csv.xz')
    history = _read(folder, 'user_history_last50_to_4_24.csv.xz')
    users = _read(folder, 'user_features_pure.csv.xz')
    videos = _read(folder, 'video_features_basic_pure.csv.xz')
    events = events_of(log, history, users, videos)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    events.to_csv(out / 'events.csv', index=False, float_format='%.5g')
    return {'events.csv': len(events)}


def _read(folder, name):
    import pandas as pd
    path = pathlib.Path(folder) / name
    if not path.exists():
        raise ValueError(f'{path} is missing: --data must be a folder with '
                         'the KuaiRand-Pure sample')
    return pd.read_csv(path, keep_default_na=False, low_memory=False)


def events_of(log, history, users, videos):
    """One frame of all events with _COLUMNS, users together, in time order.

    Users without an impression are left out.
    """
    import pandas as pd
    earlier = earlier_events(history)
    shown_before = earlier['item'].value_counts()
    shown = impressions(log)
    shown = shown.join(statistics(shown, shown_before))
    earlier = earlier[earlier['user'].isin(shown['user'].unique())]
    events = pd.concat([earlier, shown], ignore_index=True)
    events = events.sort_values(['user', 'time'], kind='stable')
    events = events.merge(_video_features(videos), on='item', how='left')
    events = events.merge(_user_features(users), on='user', how='left')
    # What an unlabelled event lacks is 0, which is a mean or says nothing.
    numbers = ['play_ratio', 'log_play', 'log_shown', 'click_logit',
               'long_logit', 'like_logit', 'log_duration', 'is_ad', *_UPLOADS]
    events[numbers] = events[numbers].fillna(0)
    whole = ['tab', 'hour', *TASKS]
    events[whole] = events[whole].astype('Int64')
    return events[list(_COLUMNS)]


# ---- Events without labels ---------------------------------------------------


def earlier_events(history):
    """Events of the videos watched before the log: user, item, action, time.

    Only the newest one's time is known. The others get times one millisecond
    apart before it, which keeps their order and says that no gap is known.
    """
    import pandas as pd
    users, items, actions, times = [], [], [], []
    for row in history.itertuples(index=False):
        watched = row.watch_seq.split()
        long_watched = _marked(watched, row.long_watch_seq.split())
        liked = _marked(watched, row.like_seq.split())
        count = len(watched)
        users += [row.user_id] * count
        items += map(int, watched)
        actions += [_earlier_action(*flags)
                    for flags in zip(long_watched, liked)]
        times += range(row.last_time_ms - count + 1, row.last_time_ms + 1)
    return pd.DataFrame({'user': users, 'item': items, 'action': actions,
                         'time': times})


def _marked(sequence, subsequence):
    """Which elements make up the subsequence's end, matched newest first.

    The subsequence reaches further back, so its beginning may be left over.
    """
    marks, at = [False] * len(sequence), len(subsequence) - 1
    for index in range(len(sequence) - 1, -1, -1):
        if at >= 0 and sequence[index] == subsequence[at]:
            marks[index] = True
            at -= 1
    return marks


def _earlier_action(long_watched, liked):
    if liked:
        return 'earlier_liked'
    return 'earlier_long' if long_watched else 'earlier'


# ---- Labelled impressions ----------------------------------------------------


def impressions(log):
    """Events of the log: what is known when a video is shown, and after."""
    import pandas as pd
    play_s = log['play_time_ms'].to_numpy() / 1e3
    duration_s = np.maximum(log['duration_ms'].to_numpy() / 1e3, 1.)
    hour = (log['time_ms'] + _ZONE_MS) % _DAY_MS // 3_600_000
    action = np.select(
        [log['is_like'] == 1, log['long_view'] == 1, log['is_click'] == 1],
        ['liked', 'long_viewed', 'clicked'], 'skipped')
    return pd.DataFrame({
        'user': log['user_id'], 'item': log['video_id'], 'action': action,
        'time': log['time_ms'],
        'play_ratio': np.minimum(play_s / duration_s, 2.),
        'log_play': np.log1p(play_s), 'tab': log['tab'], 'hour': hour,
        **{task: log[task] for task in TASKS}})


def statistics(shown, shown_before):
    """What was known of each impression's video the evening before.

    log_shown: ln(times shown / 100); click_logit and so on: logit of the
    smoothed rate, 0 for the mean rate. Nothing of the impression's own day is
    counted, so no label reaches its own features.
    """
    import pandas as pd
    day = (shown['time'] + _ZONE_MS) // _DAY_MS
    end = (pd.Timestamp(STATISTICS_END) - pd.Timestamp(0)).days
    known = shown[day < end]
    means = known[list(TASKS)].mean()
    parts = []
    for today, group in shown.groupby(day):
        past = known[day[known.index] < min(today, end)]
        sums = past.groupby('item')[list(TASKS)].agg('sum')
        sums['shown'] = past.groupby('item').size()
        sums = sums.reindex(group['item']).fillna(0)
        before = shown_before.reindex(group['item']).fillna(0).to_numpy()
        part = {'log_shown': np.log((1 + before + sums['shown']) / 100)}
        for task, name in zip(TASKS, ('click', 'long', 'like')):
            rate = (sums[task] + _PRIOR_SHOWN * means[task]) / (
                sums['shown'] + _PRIOR_SHOWN)
            part[f'{name}_logit'] = _logit(rate) - _logit(means[task])
        parts.append(pd.DataFrame(part).set_axis(group.index))
    return pd.concat(parts)


def _logit(rate):
    # A rate of exactly 0 or 1 happens where the mean is: keep it finite.
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    return np.log(rate / (1 - rate))


# ---- Features of videos and users --------------------------------------------


def _video_features(videos):
    """Numbers that are known of a video before it is shown."""
    import pandas as pd
    seconds = pd.to_numeric(videos['video_duration'], errors='coerce') / 1e3
    features = {'item': videos['video_id'],
                'log_duration': np.log(seconds.clip(lower=1.) / 60),
                'is_ad': (videos['video_type'] == 'AD').astype(int)}
    for name, kinds in _UPLOADS.items():
        features[name] = videos['upload_type'].isin(kinds).astype(int)
    return pd.DataFrame(features)


def _user_features(users):
    columns = {source: name for name, source in _USER_COLUMNS.items()}
    return users[['user_id', *columns]].rename(
        columns={'user_id': 'user', **columns})
