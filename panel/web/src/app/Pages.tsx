/** Which address shows which page. Pages other than the first are loaded when they are opened. */

import { lazy, Suspense } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { NowPage } from '../pages/now/NowPage.tsx';
import { Page } from '../ui/Page.tsx';
import { Empty, Skeleton } from '../ui/States.tsx';
import { ErrorBoundary } from './ErrorBoundary.tsx';

const CampaignsPage = lazy(() => import('../pages/campaigns/CampaignsPage.tsx'));
const CampaignPage = lazy(() => import('../pages/campaign/CampaignPage.tsx'));
const ExplorePage = lazy(() => import('../pages/explore/ExplorePage.tsx'));
const FunnelPage = lazy(() => import('../pages/explore/FunnelPage.tsx'));
const CohortsPage = lazy(() => import('../pages/explore/CohortsPage.tsx'));
const VariationsPage = lazy(() => import('../pages/explore/VariationsPage.tsx'));
const UsersOverTimePage = lazy(() => import('../pages/explore/UsersPage.tsx'));
const EventsPage = lazy(() => import('../pages/events/EventsPage.tsx'));
const EventPage = lazy(() => import('../pages/events/EventPage.tsx'));
const QualityPage = lazy(() => import('../pages/quality/QualityPage.tsx'));
const AuditPage = lazy(() => import('../pages/audit/AuditPage.tsx'));
const UsersPage = lazy(() => import('../pages/access/UsersPage.tsx'));
const TokensPage = lazy(() => import('../pages/access/TokensPage.tsx'));
const AccountPage = lazy(() => import('../pages/access/AccountPage.tsx'));

export function Pages() {
  return (
    <ErrorBoundary>
      <Suspense fallback={<Waiting />}>
        <Switch>
          <Route path="/">
            <Redirect to="/now" replace />
          </Route>
          <Route path="/now" component={NowPage} />
          <Route path="/campaigns" component={CampaignsPage} />
          <Route path="/campaigns/:id">{(params) => <CampaignPage key={params.id} id={params.id} />}</Route>
          <Route path="/explore" component={ExplorePage} />
          <Route path="/explore/funnel" component={FunnelPage} />
          <Route path="/explore/cohorts" component={CohortsPage} />
          <Route path="/explore/variations" component={VariationsPage} />
          <Route path="/explore/users" component={UsersOverTimePage} />
          <Route path="/events" component={EventsPage} />
          <Route path="/events/:id">{(params) => <EventPage key={params.id} id={params.id} />}</Route>
          <Route path="/quality" component={QualityPage} />
          <Route path="/audit" component={AuditPage} />
          <Route path="/users" component={UsersPage} />
          <Route path="/tokens" component={TokensPage} />
          <Route path="/account" component={AccountPage} />
          <Route>
            <Page title="Not found">
              <Empty title="There is no such page">Choose one from the navigation.</Empty>
            </Page>
          </Route>
        </Switch>
      </Suspense>
    </ErrorBoundary>
  );
}

function Waiting() {
  return (
    <Page title="Loading">
      <Skeleton what="the page" lines={6} />
    </Page>
  );
}
